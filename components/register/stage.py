"""Register: one version in MLflow's model registry per trained model, however often it is asked for.

The effect is looked for first, by the tag `model_digest`, so a run with nothing to do loads neither MLflow nor
TensorFlow, and a registry that was wiped gets its version again.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from components.progress import say
from components.registry.client import CHALLENGER, DIGEST_TAG, Registry, model_digest
from components.registry.readers import ModelVersion
from components.system.tensorflow import tensorflow

PINNED = ("tensorflow", "tensorflow-cpu", "keras", "numpy")


def register(
    normalize: Path,
    train: Path,
    evaluate: Path,
    registry: Registry,
    name: str,
    mlflow_run: Callable[[], str],
    tags: dict[str, str],
) -> dict[str, Any]:
    """Make sure that the model *name* has a version of the model in *train*, and that `challenger` points at it.

    *mlflow_run* gives the id of the MLflow run to log a new version to, and is only then asked: finding or making the
    run takes seconds. *tags* are put on a new version, beside `model_digest`.
    Facts: name, version, aliases, made (False where the version was there).
    """
    digest = model_digest(train)
    found = registry.with_digest(name, digest)
    version = found or _make(normalize, train, evaluate, registry, name, mlflow_run(), tags | {DIGEST_TAG: digest})
    if CHALLENGER not in version.aliases:
        registry.set_alias(name, CHALLENGER, version.version)
    aliases = sorted({*version.aliases, CHALLENGER})
    return {"name": name, "version": version.version, "aliases": aliases, "made": found is None}


def _make(
    normalize: Path, train: Path, evaluate: Path, registry: Registry, name: str, run_id: str, tags: dict[str, str]
) -> ModelVersion:
    say(f"  logging the model to MLflow as a version of {name}")
    data = json.loads((normalize / "data.json").read_text())
    registry.create_model(name, f"Classifier of {data['name']} images ({len(data['classes'])} classes).")
    logged = _log_model(normalize, train, data, registry, run_id)
    made = registry.create_version(name, logged, tags, _description(evaluate, data))
    return _lowest(registry, name, made, tags[DIGEST_TAG])


def _lowest(registry: Registry, name: str, made: str, digest: str) -> ModelVersion:
    """Of several versions made at once from one model the oldest stays: every maker comes to the same choice."""
    version = registry.with_digest(name, digest)
    if version is None:
        raise RuntimeError(f"version {made} of {name} is not in the registry that has just made it")
    if version.version != made:
        registry.delete_version(name, made)
    return version


def _description(evaluate: Path, data: dict[str, Any]) -> str:
    metrics = json.loads((evaluate / "metrics.json").read_text())
    shape = " x ".join(map(str, data["shape"]))
    return (
        f"{100 * metrics['accuracy']:.2f} % of {metrics['n']:,} test images right "
        f"(95 % interval {100 * metrics['wilson_low']:.2f} to {100 * metrics['wilson_high']:.2f} %). "
        f"Takes uint8 pixels 0..255, (N, {shape}); gives float32 probabilities of {', '.join(data['classes'])}."
    )


def _log_model(normalize: Path, train: Path, data: dict[str, Any], registry: Registry, run_id: str) -> Any:
    """Log the trained model to the run; MLflow's LoggedModel of it."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client = registry.client
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name="model", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as folder:
        described = Model(run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id)
        _save(normalize, train, data, folder, described)
        client.log_model_artifacts(logged.model_id, folder)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, "READY")


def _save(normalize: Path, train: Path, data: dict[str, Any], folder: str, description: Any) -> None:
    """Write MLflow's folder for the model: signature, input example, requirements, and the very file of *train*.

    The Keras flavour keeps a .keras archive (layers as JSON, weights as HDF5): nothing in it is a pickle.
    """
    tensorflow()
    import numpy as np

    from components.data.splits import Split

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")  # of MLflow's own classes
        import mlflow.keras
        import mlflow.pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

    pixels = TensorSpec(np.dtype("uint8"), (-1, *data["shape"]))
    probabilities = TensorSpec(np.dtype("float32"), (-1, len(data["classes"])))
    mlflow.keras.save_model(
        _Stored(train / "model.keras"),
        folder,
        mlflow_model=description,
        signature=ModelSignature(inputs=Schema([pixels]), outputs=Schema([probabilities])),
        input_example=Split(normalize / "test").take(np.arange(1)),
        pip_requirements=requirements(),
    )


class _Stored:
    """Stands for the Keras model where MLflow saves it: the file that was evaluated is copied, not written anew."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def save(self, path: str) -> None:
        shutil.copyfile(self._file, path)


def requirements() -> list[str]:
    """The installed versions of what computes the predictions, as pip takes them."""
    pins = []
    for name in PINNED:
        with suppress(metadata.PackageNotFoundError):
            pins.append(f"{name}=={metadata.version(name)}")
    return pins
