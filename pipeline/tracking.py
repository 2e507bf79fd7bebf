"""One MLflow run per pipeline run that made something or was refused, and the lineage of registered versions.

A run with nothing to do leaves no MLflow run: to import MLflow's client and open its database would take longer than
everything else. Its record names the version that it reused, and the version names the run that created it.
"""

import csv
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from components.artifact_files import Metrics, Statistics
from components.errors import ArtifactCorrupt, ConfigError, RegistryUnreachable
from components.progress import say
from components.public_text import public
from components.registry.client import CHAMPION, EXISTS, Registry, answering, deleted_experiment
from components.settings.sections import Params
from pipeline import model_classes
from pipeline.home import Home
from pipeline.run_record import Model, RunRecord
from pipeline.store.artifact import Artifact, digest_of

RUN_TAG = "pipeline.run"
TEST_DIGEST_TAG = "test_digest"
ENDED = {"succeeded": "FINISHED", "interrupted": "KILLED"}
KEYED = ("ingest", "validate", "normalize", "train", "evaluate")
BATCH = 1000  # metrics that MLflow takes in one request


class Tracking:
    """The MLflow side of one run; nothing is imported and no server is contacted before it is needed."""

    def __init__(self, params: Params, home: Home, record: RunRecord, artifact: Callable[[str], Artifact]) -> None:
        self.params, self.home, self.record, self.artifact = params, home, record, artifact
        self.drift_must_be_judged = False

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.home.tracking_uri)

    def expect_usable(self) -> None:
        """Raise ConfigError where the run could not be logged or registered; an MLflow that is away may come back."""
        with suppress(RegistryUnreachable):
            self.registry.expect_usable(self.params.register.name, self.params.register.experiment)

    # Lineage: the tags of a version, and the artifacts that are found again by them

    def tags(self) -> dict[str, str]:
        """The tags of a new version: key and digest of every artifact that it comes from, source, commit and run."""
        made = {stage: self.artifact(stage) for stage in KEYED}
        metrics: Metrics = json.loads((made["evaluate"].path / "metrics.json").read_bytes())
        keys = {f"{stage}.key": artifact.key for stage, artifact in made.items()}
        digests = {f"{stage}.digest": artifact.digest for stage, artifact in made.items()}
        return {
            **keys,
            **digests,
            "data_digest": made["ingest"].digest,
            TEST_DIGEST_TAG: test_digest(made["normalize"]),
            "accuracy": f"{metrics['accuracy']:.6f}",
            "source": public(self.params.ingest.source),
            "git_commit": self.record.git_commit,
            RUN_TAG: self.record.run,
        }

    def champion_statistics(self) -> Statistics | None:
        """statistics.json of the images that the champion was trained on; None where they are unknown.

        Raises RegistryUnreachable where there is a champion, and drift from its images must be judged.
        """
        try:
            artifact = self._of_champion("validate")
        except RegistryUnreachable as error:
            if self.drift_must_be_judged and self._has_had_champion():
                raise RegistryUnreachable(f"drift against the champion's data cannot be judged: {error}") from error
            say(f"  warning: drift against the champion's data is not checked: {str(error).partition(';')[0]}")
            return None
        return json.loads((artifact.path / "statistics.json").read_bytes()) if artifact else None

    def _has_had_champion(self) -> bool:
        """Whether this workspace has seen one, which needs no registry."""
        from components.registry import promotion_log

        return bool(promotion_log.read(self.home.promotions, self.params.register.name))

    def judged_models(self) -> int:
        """How many models the test images have judged: those registered, and that of this run."""
        digest, own = test_digest(self.artifact("normalize")), self.artifact("train").files["model.keras"]
        try:
            versions = self.registry.versions(self.params.register.name)
        except RegistryUnreachable:
            versions = []
        return len({own, *(v.model_sha256 for v in versions if v.tags.get(TEST_DIGEST_TAG) == digest)})

    def champion_evaluate(self) -> Path | None:
        """The champion's evaluation on the same test images; None where there is none, or it is damaged."""
        champion = self.registry.alias(self.params.register.name, CHAMPION)
        if champion is None or champion.tags.get(TEST_DIGEST_TAG) != test_digest(self.artifact("normalize")):
            return None
        artifact = self._of_champion("evaluate")
        return artifact.path if artifact else None

    def champion_classes(self) -> list[str] | None:
        """The names of the classes that the champion knows; None where there is none, or they are unknown."""
        try:
            champion = self.registry.alias(self.params.register.name, CHAMPION)
        except RegistryUnreachable:
            return None
        return model_classes.of_version(champion, self.home.store) if champion else None

    def _of_champion(self, stage: str) -> Artifact | None:
        champion = self.registry.alias(self.params.register.name, CHAMPION)
        store = self.home.store
        try:
            artifact = store.get(stage, champion.tags.get(f"{stage}.key", "none")) if champion else None
            if artifact:
                store.verify(artifact)
        except ArtifactCorrupt as error:
            say(f"  warning: the champion's {stage} cannot be used: {str(error).partition(';')[0]}")
            return None
        return artifact

    def model(self, name: str, number: str) -> Model:
        """The registered version, as run.json and the answers of the commands show it."""
        version = self.registry.version(name, number)
        return {"name": name, "version": number, "aliases": list(version.aliases) if version else []}

    # The run

    def run_id(self) -> str:
        """The MLflow run of this pipeline run; found again by its tag where another process of the run made it."""
        if not self.record.mlflow_run:
            name = self.record.run
            with answering(self.registry.uri):
                client, experiment = self.registry.client, experiment_id(self.registry, self.params, self.home)
                found = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{name}'", max_results=1)
                run = found[0] if found else client.create_run(experiment, run_name=name, tags=self._run_tags())
            self.record.mlflow_run = run.info.run_id
        return self.record.mlflow_run

    def _run_tags(self) -> dict[str, str]:
        commit, note = self.record.git_commit, "a run of the pipeline; see the report among the artifacts"
        return {RUN_TAG: self.record.run, "mlflow.source.git.commit": commit, "mlflow.note.content": note}

    def finish(self, artifacts: Mapping[str, Artifact], pictures: Mapping[str, Path]) -> None:
        """Log the whole run: settings, metrics per epoch and of the test, keys, digests, pictures, the report."""
        made = any(done.made for done in self.record.stages)
        if not self.record.stages:  # it failed before its first stage ended
            return
        if self.record.state == "succeeded" and not (made and "evaluate" in artifacts):
            return
        run = self.run_id()
        with answering(self.registry.uri):
            self._log(run, artifacts, pictures)

    def _log(self, run: str, artifacts: Mapping[str, Artifact], pictures: Mapping[str, Path]) -> None:
        client = self.registry.client
        params = {name: str(value)[:500] for name, value in public(self.record.settings).items()}
        tags = {"state": self.record.state, "error": public(self.record.error)[:4000]}
        for stage, artifact in artifacts.items():
            tags |= {f"{stage}.key": artifact.key, f"{stage}.digest": artifact.digest}
        there = client.get_run(run).data  # of a run that was cleared in Airflow and is executed again
        changed = {f"changed.{n}": v for n, v in params.items() if there.params.get(n, v) != v}
        params = {n: v for n, v in params.items() if n not in there.params}
        new = {stage: a for stage, a in artifacts.items() if there.tags.get(f"{stage}.digest") != a.digest}
        log_batch(client, run, list(_metrics(new)), params, tags | changed)
        for stage, folder in pictures.items():
            client.log_artifacts(run, str(folder), f"pictures/{stage}")
        if self.record.report:
            client.log_artifact(run, self.record.report)
        client.set_terminated(run, ENDED.get(self.record.state, "FAILED"))


def experiment_id(registry: Registry, params: Params, home: Home) -> str:
    """The MLflow experiment of these settings, created where there is none; raises ConfigError where it is deleted."""
    client, name = registry.client, params.register.experiment
    found = client.get_experiment_by_name(name) or _created_experiment(client, name, home)
    if found.lifecycle_stage == "deleted":
        raise ConfigError(deleted_experiment(name))
    return str(found.experiment_id)


def _created_experiment(client: Any, name: str, home: Home) -> Any:
    from mlflow.exceptions import MlflowException

    beside = (home.root / "mlartifacts").as_uri()
    location = beside if home.tracking_uri.startswith("sqlite:") else None
    try:
        client.create_experiment(name, artifact_location=location)
    except MlflowException as error:
        if error.error_code not in EXISTS:  # another run has just created it
            raise
    return client.get_experiment_by_name(name)


def log_batch(
    client: Any, run: str, metrics: list[tuple[str, float, int]], params: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    """Log *metrics*, (name, value, step) each, *params* and *tags* to the MLflow run *run*, without credentials."""
    from mlflow.entities import Metric, Param, RunTag

    now, params, tags = int(time.time() * 1000), public(params), public(tags)
    logged = [Metric(name, value, now, step) for name, value, step in metrics]
    client.log_batch(
        run, logged[:BATCH], [Param(*p) for p in public(params).items()], [RunTag(*t) for t in public(tags).items()]
    )
    for start in range(BATCH, len(logged), BATCH):
        client.log_batch(run, logged[start : start + BATCH])


def _metrics(artifacts: Mapping[str, Artifact]) -> Iterator[tuple[str, float, int]]:
    """(name, value, step): the training history by epoch, the numbers of the evaluation and of each exported format."""
    if train := artifacts.get("train"):
        with (train.path / "history.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                epoch = int(row.pop("epoch"))
                yield from ((name, float(value), epoch) for name, value in row.items())
    if evaluate := artifacts.get("evaluate"):
        metrics: Metrics = json.loads((evaluate.path / "metrics.json").read_bytes())
        for name, value in metrics.items():
            if isinstance(value, int | float) and math.isfinite(value):
                yield f"test_{name}", float(value), 0
    if export := artifacts.get("export"):
        for form, measured in export.facts.items():
            yield from ((f"export_{form}_{name}", float(value), 0) for name, value in measured.items())


def test_digest(normalize: Artifact) -> str:
    """The digest of the test images and labels alone, which two evaluations must share to be compared."""
    return digest_of({name: sha for name, sha in normalize.files.items() if name.startswith("test/")})
