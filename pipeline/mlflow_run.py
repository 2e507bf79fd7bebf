"""The MLflow run of one run of the pipeline: created, taken up again by its next try, described, and closed.

What its page shows: the settings as parameters, the images as a dataset, a curve for each figure of the training, the
model that came of it with the metrics of the test, and tags. MLflow shows tags in the order in which they came, or by
name: either way, accuracy, verdict and source precede those that name artifacts (workspace...).
"""

import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from components.artifact_files import NormalizedData
from components.errors import ConfigError
from components.formatting import percent
from components.public_text import public
from components.registry import database
from components.registry.client import EXISTS, GONE, Registry, deleted_experiment
from components.settings.sections import Params
from pipeline.home import Home
from pipeline.run_record import RunRecord, load
from pipeline.store.artifact import Artifact

RUN_TAG = "pipeline.run"
ARTIFACT_TAG = "workspace.{stage}.{of}"  # of: key or digest
KIND_TAG = "mlflow.experimentKind"
# the kind decides which pages MLflow's UI shows where nobody chose between its modes GenAI and Model training
EXPERIMENT_TAGS = {
    KIND_TAG: "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test_accuracy",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
}
MAX_PARAM, MAX_TAG, MAX_NAME = 500, 4000, 500  # characters
SHORT_DIGEST = 16  # characters: MLflow takes 36, and shows them all beside the name
ABANDONED_SECONDS = 86_400  # after which nobody takes up a run between two of its stages


class Logged(NamedTuple):
    """A value of a metric; *model* is the id of the logged model that it was measured on."""

    name: str
    value: float
    step: int
    model: str | None = None


def open_run(registry: Registry, params: Params, home: Home, record: RunRecord) -> None:
    """Have *record* name its MLflow run, which is running from now on; that of an earlier try is taken up."""
    client, experiment = registry.client, experiment_id(registry, params, home)
    run = _present(client, record.mlflow_run) or _of_earlier_try(client, experiment, record.run)
    if run and run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
        client.set_tag(run.info.run_id, "verdict", "running")
    if not run:
        run = client.create_run(experiment, _milliseconds(record.started), public(_first_tags(record)), record.run)
    record.mlflow_run, record.mlflow_experiment = run.info.run_id, run.info.experiment_id


def _present(client: Any, run: str) -> Any:
    """The run with this id, None where there is none, or a user deleted it."""
    from mlflow.exceptions import MlflowException

    try:
        kept = client.get_run(run) if run else None
    except MlflowException as error:
        if error.error_code not in GONE:
            raise
        return None
    return kept if kept and kept.info.lifecycle_stage == "active" else None


def _of_earlier_try(client: Any, experiment: str, name: str) -> Any:
    runs = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{name}'", max_results=1)
    return runs[0] if runs else None


def _first_tags(record: RunRecord) -> dict[str, str]:
    from components.registry.promotion_log import person  # with msgspec, which a run with nothing to do must not load

    scheduled = os.environ.get("AIRFLOW_CTX_DAG_ID")
    return {
        "accuracy": "not measured yet",
        "verdict": "running",
        "source": record.source,
        RUN_TAG: record.run,
        "mlflow.user": person(),
        "mlflow.source.name": f"Airflow: {scheduled}" if scheduled else "python -m pipeline",
        "mlflow.source.type": "JOB" if scheduled else "LOCAL",
        "mlflow.source.git.commit": record.git_commit,
    }


def _milliseconds(moment: str) -> int:
    return int(datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * 1000)


# What a run holds


def params_of(record: RunRecord) -> dict[str, str]:
    return {name: str(value)[:MAX_PARAM] for name, value in public(record.settings).items()}


def verdict(record: RunRecord) -> str:
    """How the run ended, in a word: what became of the champion, or the state of a run that did not come to that."""
    if record.state == "succeeded" and record.promotion:
        return record.promotion["outcome"]
    return record.state


def note(record: RunRecord) -> str:
    """What MLflow shows above the run."""
    accuracy = "" if record.accuracy is None else f"{percent(record.accuracy)} of the test images right; "
    reason = record.promotion.get("reason") or record.error
    return str(public(f"{accuracy}{verdict(record)}{f': {reason}' * bool(reason)}"))[:MAX_TAG]


def log_dataset(client: Any, run: str, normalize: Artifact, source: str) -> None:
    """Log the images of *normalize* as the dataset of the run: digest, source, shape, classes, number by split."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data: NormalizedData = json.loads((normalize.path / "data.json").read_bytes())
    dataset = Dataset(
        name=public(data["name"])[:MAX_NAME],
        digest=normalize.digest[:SHORT_DIGEST],
        source_type="local" if Path(source).is_absolute() else source.partition(":")[0],
        source=json.dumps({"uri": public(source)}),
        schema=json.dumps(_schema(data)),
        profile=json.dumps(_profile(data)),
    )
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _schema(data: NormalizedData) -> dict[str, dict[str, str]]:
    pixels = {"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, *data["shape"]]}}
    labels = {"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}
    return {"mlflow_tensorspec": {"features": json.dumps([pixels]), "targets": json.dumps([labels])}}


def _profile(data: NormalizedData) -> dict[str, object]:
    return {
        "images": {**data["images"], "all": sum(data["images"].values())},
        "shape": data["shape"],
        "number_of_classes": len(data["classes"]),
        "classes": public(data["classes"]),
    }


def log_batch(
    client: Any,
    run: str,
    metrics: Sequence[tuple[Any, ...]],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> None:
    """Log *metrics* (as Logged has them), *params* and *tags* to the MLflow run *run*, without credentials."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    values = [Metric(m.name, m.value, now, m.step, m.model) for m in (Logged(*metric) for metric in metrics)]
    texts = [Param(*param) for param in public(params).items()]
    client.log_batch(run, values, texts, [RunTag(*tag) for tag in public(tags).items()])


def logged_steps(client: Any, run: str, names: Iterable[str]) -> set[tuple[str, float, int]]:
    """(name, value, step) of all that the run holds of the metrics *names*."""
    return {(name, metric.value, metric.step) for name in names for metric in client.get_metric_history(run, name)}


def curves(history: Iterable[Mapping[str, float]], prefix: str = "") -> Iterator[Logged]:
    """The figures of each epoch of *history*, to the digits that history.csv has."""
    for row in history:
        for name, value in row.items():
            if name != "epoch" and math.isfinite(float(value)):
                yield Logged(prefix + name, float(f"{float(value):.7g}"), int(row["epoch"]))


def log_curves(client: Any, run: str, metrics: Iterable[Logged]) -> None:
    """Log those of *metrics* that the run does not hold yet, as after a training that was killed and resumed."""
    metrics = list(metrics)
    known = logged_steps(client, run, dict.fromkeys(metric.name for metric in metrics))
    if new := [metric for metric in metrics if metric[:3] not in known]:
        log_batch(client, run, new, {}, {})


# Runs that nobody closed


def close_abandoned(client: Any, home: Home) -> None:
    """Close the runs of this workspace that MLflow takes for running, though their process was killed."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, f"attributes.status = 'RUNNING' AND tags.`{RUN_TAG}` LIKE '%'"):
        record = load(home.runs / run.data.tags[RUN_TAG])
        if record and record.mlflow_run == run.info.run_id and _is_abandoned(home, record):
            client.set_tag(run.info.run_id, "verdict", "killed")
            client.set_terminated(run.info.run_id, "KILLED", _last_sign_of_life(client, home, record))


def delete_for_good(registry: Registry, seconds: float, protected: Iterable[str]) -> None:
    """Delete the runs that a user deleted in MLflow's UI so many *seconds* ago, and their files; not the *protected*.

    Only where the registry is a database of this machine: of a server that is its operator's business (`mlflow gc`).
    """
    path = database.path_of(registry.uri)
    if path is None or not path.is_file():
        return
    with database.connected(path) as connection:
        before = int((time.time() - seconds) * 1000)
        query = "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'deleted' AND deleted_time < ?"
        runs = {str(row[0]) for row in connection.execute(query, (before,))} - set(protected)
    for run in sorted(runs):
        _delete_for_good(registry.client, run)


def _delete_for_good(client: Any, run: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(client.get_run(run).info.artifact_uri).delete_artifacts()
    client._tracking_client.store._hard_delete_run(run)  # as `mlflow gc` does, whose import takes seconds


def _is_abandoned(home: Home, record: RunRecord) -> bool:
    if record.state == "unfinished":  # between two stages, each a process of its own
        return time.time() - _saved(home, record) > ABANDONED_SECONDS
    return record.state == "killed"


def _saved(home: Home, record: RunRecord) -> float:
    return (home.runs / record.run / "run.json").stat().st_mtime


def _last_sign_of_life(client: Any, home: Home, record: RunRecord) -> int:
    """When the run's record was saved, or its last epoch logged, in milliseconds."""
    epochs = client.get_metric_history(record.mlflow_run, "loss")
    return max([int(_saved(home, record) * 1000), *(int(metric.timestamp) for metric in epochs)])


# The experiment


def experiment_id(registry: Registry, params: Params, home: Home) -> str:
    """The MLflow experiment of these settings, created where there is none; raises ConfigError where it is deleted."""
    client, name = registry.client, params.register.experiment
    experiment = client.get_experiment_by_name(name) or _created_experiment(client, name, home)
    if experiment.lifecycle_stage == "deleted":
        raise ConfigError(deleted_experiment(name))
    if KIND_TAG not in experiment.tags:
        for tag, value in EXPERIMENT_TAGS.items():
            client.set_experiment_tag(experiment.experiment_id, tag, value)
    return str(experiment.experiment_id)


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
