"""One MLflow run per pipeline run that made something or was refused, and the lineage of registered versions.

It begins when the training does, or at the end of a run that trained nothing. A run with nothing to do leaves no MLflow
run: to import MLflow's client and open its database would take longer than everything else. Its record names the
version that it reused, and the version names the run that created it.
"""

import csv
import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from components.artifact_files import Metrics, Statistics
from components.errors import ArtifactCorrupt, ArtifactMissing, RegistryUnreachable
from components.formatting import percent
from components.progress import say
from components.public_text import public
from components.registry.client import CHAMPION, Registry, answering
from components.settings.sections import Params
from pipeline import model_classes
from pipeline.home import Home
from pipeline.live_tracking import History, LiveTracking
from pipeline.mlflow_run import (
    ARTIFACT_TAG,
    MAX_TAG,
    RUN_TAG,
    Logged,
    close_abandoned,
    curves,
    log_batch,
    log_curves,
    log_dataset,
    note,
    open_run,
    params_of,
    verdict,
)
from pipeline.run_record import Model, RunRecord
from pipeline.store.artifact import Artifact, digest_of

TEST_DIGEST_TAG, COMMIT_TAG = "test_digest", "git_commit"
ENDED = {"succeeded": "FINISHED", "unfinished": "FINISHED", "interrupted": "KILLED"}
KEYED = ("ingest", "validate", "normalize", "train", "evaluate")
MEMBER = "member{}/"  # prefix of the metrics of one network of an ensemble


class Tracking:
    """The MLflow side of one run; nothing is imported and no server is contacted before it is needed."""

    def __init__(
        self,
        params: Params,
        home: Home,
        record: RunRecord,
        artifact: Callable[[str], Artifact],
        save: Callable[[], None] = lambda: None,
        *,
        must_judge_drift: bool = False,
    ) -> None:
        self.params, self.home, self.record, self.artifact, self.save = params, home, record, artifact, save
        self.must_judge_drift = must_judge_drift
        self._is_open, self._opening = False, threading.Lock()

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
        artifacts = {stage: self.artifact(stage) for stage in KEYED}
        metrics: Metrics = json.loads((artifacts["evaluate"].path / "metrics.json").read_bytes())
        keys = {f"{stage}.key": artifact.key for stage, artifact in artifacts.items()}
        digests = {f"{stage}.digest": artifact.digest for stage, artifact in artifacts.items()}
        return {
            **keys,
            **digests,
            "data_digest": artifacts["ingest"].digest,
            TEST_DIGEST_TAG: test_digest(artifacts["normalize"]),
            "accuracy": f"{metrics['accuracy']:.6f}",
            "source": public(self.params.ingest.source),
            COMMIT_TAG: self.record.git_commit,
            RUN_TAG: self.record.run,
            **_machine(artifacts["train"]),
        }

    def provenance(self) -> dict[str, bytes]:
        """provenance.json of a new version, and the files that it names."""
        from pipeline import provenance  # a run with nothing to do registers nothing, and loads less

        return provenance.documents(self.params, self.home, self.record, {s: self.artifact(s) for s in KEYED})

    def champion_statistics(self) -> Statistics | None:
        """statistics.json of the images that the champion was trained on; None where they are unknown.

        Raises RegistryUnreachable where there is a champion, and drift from its images must be judged.
        """
        try:
            artifact = self._of_champion("validate")
        except RegistryUnreachable as error:
            if self.must_judge_drift and self._has_had_champion():
                raise RegistryUnreachable(f"drift against the champion's data cannot be judged: {error}") from error
            say(f"  warning: drift against the champion's data is not checked: {str(error).partition(';')[0]}")
            return None
        return json.loads((artifact.path / "statistics.json").read_bytes()) if artifact else None

    def _has_had_champion(self) -> bool:
        """Whether this workspace has seen one, which needs no registry."""
        from components.registry import promotion_log

        logged = promotion_log.read(self.home.promotions, self.params.register.name)
        return bool(promotion_log.champion_history(logged))

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
        with self._opening:  # the thread that follows the training and the stage register ask for it
            if not self._is_open:
                with answering(self.registry.uri):
                    open_run(self.registry, self.params, self.home, self.record)
                self._is_open = True
                self.save()  # at once: the links of Airflow's tasks read it
        return self.record.mlflow_run

    @contextmanager
    def training(self) -> Iterator[Callable[[History], None]]:
        """Within the block, MLflow shows the training: call the yielded function with its history after each epoch."""
        prefix = MEMBER.format(1) if self.params.train.members > 1 else ""
        with LiveTracking(self.registry, self._begin, prefix).following() as watch:
            yield watch

    def _begin(self) -> str:
        """Open the MLflow run with what is known before the first epoch, and close those that were killed."""
        run = self.run_id()
        self._describe(run)
        close_abandoned(self.registry.client, self.home)
        return run

    def _describe(self, run: str, tags: Mapping[str, str] = MappingProxyType({})) -> None:
        """Log the settings, the images and the *tags*; a setting that an earlier try had otherwise becomes a tag."""
        client, params = self.registry.client, params_of(self.record)
        there = client.get_run(run).data.params
        changed = {f"changed.{name}": value for name, value in params.items() if there.get(name, value) != value}
        params = {name: value for name, value in params.items() if name not in there}
        log_batch(client, run, [], params, {**tags, **changed})
        with suppress(ArtifactMissing):
            log_dataset(client, run, self.artifact("normalize"), self.params.ingest.source)

    def finish(self, artifacts: Mapping[str, Artifact], pictures: Mapping[str, Path]) -> None:
        """Log the whole run: settings, metrics per epoch and of the test, keys, digests, pictures, the report."""
        if not self.record.mlflow_run and not self._is_worth_a_run("evaluate" in artifacts):
            return
        run = self.run_id()
        with answering(self.registry.uri):
            self._log(run, artifacts, pictures)

    def _is_worth_a_run(self, evaluated: bool) -> bool:
        """Whether there is something to log of a run that did not train."""
        if self.record.state == "succeeded":
            return evaluated and any(done.made for done in self.record.stages)
        return self.record.state != "unfinished" and bool(self.record.stages)  # without any it failed in its first

    def _log(self, run: str, artifacts: Mapping[str, Artifact], pictures: Mapping[str, Path]) -> None:
        client = self.registry.client
        there = client.get_run(run)  # of a run that was cleared in Airflow and is executed again
        digest = ARTIFACT_TAG.format
        new = {s: a for s, a in artifacts.items() if there.data.tags.get(digest(stage=s, of="digest")) != a.digest}
        log_curves(client, run, _histories(new))
        models = [output.model_id for output in there.outputs.model_outputs] if there.outputs else []
        log_batch(client, run, list(_measured(new, models[-1] if models else None)), {}, {})
        self._describe(run, self._last_tags(artifacts))
        for stage, folder in pictures.items():
            client.log_artifacts(run, str(folder), f"pictures/{stage}")
        if self.record.report:
            client.log_artifact(run, self.record.report)
        client.set_terminated(run, ENDED.get(self.record.state, "FAILED"))

    def _last_tags(self, artifacts: Mapping[str, Artifact]) -> dict[str, str]:
        record = self.record
        tags = {"verdict": verdict(record), "error": public(record.error)[:MAX_TAG]}
        tags["accuracy"] = "not measured" if record.accuracy is None else percent(record.accuracy)
        if record.model:
            tags["model"] = f"{record.model['name']} version {record.model['version']}"
        tags["mlflow.note.content"] = note(record)
        for stage, artifact in artifacts.items():
            tags[ARTIFACT_TAG.format(stage=stage, of="key")] = artifact.key
            tags[ARTIFACT_TAG.format(stage=stage, of="digest")] = artifact.digest
        return {name: value for name, value in tags.items() if value}


def _machine(train: Artifact) -> dict[str, str]:
    """What the training computed with, as tags; an older artifact does not say all of it."""
    settings = {name: str(train.recipe["params"].get(name, "")) for name in ("precision", "threads")}
    environment = train.made.get("environment")
    if environment is None:
        return settings
    return {**settings, "processor": environment["processor"]["model"], "python": environment["python"]}


def _histories(artifacts: Mapping[str, Artifact]) -> Iterator[Logged]:
    """The training history by epoch; of an ensemble, the mean of its members and that of each."""
    if train := artifacts.get("train"):
        yield from curves(_rows(train.path / "history.csv"))
        for member in sorted(train.path.glob("members/*.csv")):
            yield from curves(_rows(member), MEMBER.format(member.stem))


def _rows(file: Path) -> list[dict[str, float]]:
    with file.open(newline="") as lines:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def _measured(artifacts: Mapping[str, Artifact], model: str | None) -> Iterator[Logged]:
    """The numbers of the evaluation and of each exported format, measured on the logged *model*."""
    if evaluate := artifacts.get("evaluate"):
        metrics: Metrics = json.loads((evaluate.path / "metrics.json").read_bytes())
        for name, value in metrics.items():
            if isinstance(value, int | float) and math.isfinite(value):
                yield Logged(f"test_{name}", float(value), 0, model)
    if export := artifacts.get("export"):
        for form, measured in export.facts.items():
            yield from (Logged(f"export/{form}_{name}", float(value), 0, model) for name, value in measured.items())


def test_digest(normalize: Artifact) -> str:
    """The digest of the test images and labels alone, which two evaluations must share to be compared."""
    return digest_of({name: sha for name, sha in normalize.files.items() if name.startswith("test/")})
