"""Register: one version in MLflow's model registry per trained model, however often the stage runs.

The version is looked up first, by the sha256 of model.keras, so a run with nothing to do loads neither MLflow nor
TensorFlow, and a registry that was wiped gets its version again.
"""

import itertools
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256 as hashed
from pathlib import Path
from typing import Any, TypedDict

from components.artifact_files import Metrics, NormalizedData
from components.errors import RegistryRefused
from components.formatting import percent, points
from components.progress import say
from components.register import provenance
from components.registry import class_names, model_files, recorded_files
from components.registry.client import CHALLENGER, Registry, answering, model_sha256
from components.registry.exports import link_or_copy
from components.registry.model_version import MODEL_SHA256_TAG, ModelVersion
from components.system.distributions import version
from components.system.files import flush
from components.system.tensorflow import tensorflow

# ends of the tags that are kept right: those that name artifacts (train.key, train.digest), and the class names
FOLLOWING = (".key", ".digest", class_names.TAG)
PYFUNC = Path(__file__).with_name("class_probabilities.py")  # copied beside each model, to be imported there
PINNED = ("tensorflow", "tensorflow-cpu", "keras", "numpy")


class Registered(TypedDict):
    """The version of the model; *made* is False where it existed."""

    name: str
    version: str
    aliases: list[str]
    made: bool


def register(
    normalize: Path,
    train: Path,
    evaluate: Path,
    registry: Registry,
    name: str,
    mlflow_run: Callable[[], str],
    tags: dict[str, str],
    documents: Callable[[], Mapping[str, bytes]] = dict,
) -> Registered:
    """Ensure that the model *name* has a version of the model in *train*, and that `challenger` points at it.

    *mlflow_run* returns the id of the MLflow run to log a new version to; it is called for a new version only, as to
    find or create the run takes seconds. *tags* are set on a new version, with the sha256 of the model and the names of
    its classes; of a version that exists, those that name its artifacts follow where an artifact was made again under
    another key, and the class names are what they were. *documents* (name -> content) says where a new version comes
    from: provenance.json and what that names, which lie among its files.
    """
    sha256 = model_sha256(train)
    tags = tags | class_names.tag(_read_data(normalize)["classes"]) | {MODEL_SHA256_TAG: sha256}
    existing = registry.with_model(name, sha256)
    version = existing or _create(normalize, train, evaluate, registry, name, mlflow_run(), tags, documents())
    for tag, value in tags.items():
        if tag.endswith(FOLLOWING) and version.tags.get(tag) != value:
            registry.set_tag(name, version.version, tag, value)
    if CHALLENGER not in version.aliases:
        registry.set_alias(name, CHALLENGER, version.version)
    aliases = sorted({*version.aliases, CHALLENGER})
    return {"name": name, "version": version.version, "aliases": aliases, "made": existing is None}


def _create(
    normalize: Path,
    train: Path,
    evaluate: Path,
    registry: Registry,
    name: str,
    run_id: str,
    tags: dict[str, str],
    documents: Mapping[str, bytes],
) -> ModelVersion:
    say(f"  logging the model to MLflow as a version of {name}")
    data = _read_data(normalize)
    registry.create_model(name, f"Classifier of {data['name']} images.")
    logged, files_sha256 = _log_model(normalize, train, data, registry, run_id, documents)
    tags = tags | {recorded_files.SHA256_TAG: files_sha256}
    if statement := documents.get(provenance.FILE):
        tags = tags | {provenance.SHA256_TAG: hashed(statement).hexdigest()}
    number = registry.create_version(name, logged, tags, _description(evaluate, data))
    return _oldest(registry, name, number, tags[MODEL_SHA256_TAG])


def _read_data(normalize: Path) -> NormalizedData:
    data: NormalizedData = json.loads((normalize / "data.json").read_bytes())
    return data


def _oldest(registry: Registry, name: str, number: str, sha256: str) -> ModelVersion:
    """Of several versions created at once from one model the oldest stays: every process makes the same choice."""
    version = registry.with_model(name, sha256)
    if version is None:
        raise RegistryRefused(f"version {number} of {name} was deleted as soon as it was created; run it again")
    if version.version != number:
        registry.delete_version(name, number)
    return version


def _description(evaluate: Path, data: NormalizedData) -> str:
    metrics: Metrics = json.loads((evaluate / "metrics.json").read_bytes())
    shape = " x ".join(map(str, data["shape"]))
    return (
        f"{percent(metrics['accuracy'])} of {metrics['n']:,} test images right "
        f"(95 % interval {points(metrics['wilson_low'])} to {percent(metrics['wilson_high'])}). "
        f"Takes uint8 pixels 0..255, (N, {shape}); {class_names.description(data['classes'])}"
    )


def _log_model(
    normalize: Path,
    train: Path,
    data: NormalizedData,
    registry: Registry,
    run_id: str,
    documents: Mapping[str, bytes],
) -> tuple[Any, str]:
    """Log the trained model to the run; MLflow's LoggedModel of it, and the sha256 of the record of its files."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client = registry.client
    with answering(registry.uri):
        experiment = client.get_run(run_id).info.experiment_id
        logged = client.create_logged_model(experiment, name="model", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as folder:
        described = Model(run_id=run_id, model_uuid=logged.model_id, model_id=logged.model_id)
        _save(normalize, train, data, folder, described)
        for name, content in documents.items():
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_bytes(content)
        files_sha256 = recorded_files.write(Path(folder), {})
        with answering(registry.uri):
            client.log_model_artifacts(logged.model_id, folder)
    if kept := model_files.folder_of(logged.artifact_location):
        model_files.flush_all(kept)  # before a version points there
    with answering(registry.uri):
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return client.finalize_logged_model(logged.model_id, "READY"), files_sha256


def restore(normalize: Path, train: Path, version: ModelVersion, folder: Path) -> str:
    """Write the files of *version* again, where MLflow expects them: *folder*, of which some are missing or damaged.

    Those that are as they were recorded stay. Returns the sha256 of the record, another one where MLflow has written a
    file with other bytes: its description of the model has a time.
    """
    from mlflow.models import Model

    identity = folder.parent.name  # MLflow names the folder of a model's artifacts by the model
    data: NormalizedData = json.loads((normalize / "data.json").read_bytes())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        fresh = Path(draft) / folder.name
        fresh.mkdir()
        described = Model(run_id=version.run_id, model_uuid=identity, model_id=identity)
        _save(normalize, train, data, str(fresh), described)
        known = _keep(version, folder, fresh)
        files_sha256 = recorded_files.write(fresh, known)
        model_files.flush_all(fresh)
        with suppress(FileNotFoundError):
            folder.rename(Path(draft, "before"))
        fresh.rename(folder)
    flush(folder.parent)
    return files_sha256


def _keep(version: ModelVersion, folder: Path, fresh: Path) -> dict[str, str]:
    """Link what is whole in *folder*, or is not made here, into *fresh*; the recorded sha256 of the latter."""
    sums = recorded_files.read(folder, version.tags.get(recorded_files.SHA256_TAG, ""))
    damaged = {name for name, _ in recorded_files.damages(folder, sums)}
    written = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*")}
    known = {name: value for name, value in sums.items() if name not in written}
    for path in (path for path in folder.rglob("*") if not path.is_dir()):
        name = path.relative_to(folder)
        if {recorded_files.RECORD, *recorded_files.OF_MLFLOW} & {*name.parts}:
            continue
        if name.as_posix() not in written or name.as_posix() in sums.keys() - damaged:
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).unlink(missing_ok=True)
            link_or_copy(path, fresh / name)
    statement = version.tags.get(provenance.SHA256_TAG)
    return known if sums or not statement else {provenance.FILE: statement}


def _save(normalize: Path, train: Path, data: NormalizedData, folder: str, description: Any) -> None:
    """Write MLflow's folder for the model: signature, input example, requirements, and a copy of the file in *train*.

    The Keras flavour stores a .keras archive (layers as JSON, weights as HDF5), which contains no pickle. The flavour
    python_function, which stands for any kind of model, gives the probabilities their names.
    """
    tensorflow()
    import numpy as np

    from components.data.splits import Split

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")  # in classes of MLflow
        import mlflow.keras
        import mlflow.pyfunc
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema, TensorSpec

    pixels = TensorSpec(np.dtype("uint8"), (-1, *data["shape"]))
    probabilities = [ColSpec("float", name) for name in columns(data["classes"])]
    mlflow.keras.save_model(
        _Stored(train / "model.keras"),
        folder,
        mlflow_model=description,
        signature=ModelSignature(inputs=Schema([pixels]), outputs=Schema(probabilities)),
        input_example=Split(normalize / "test").take(np.arange(1)),
        pip_requirements=requirements(),
        metadata={class_names.TAG: data["classes"]},
    )
    code = Path(folder, "code")
    code.mkdir()
    shutil.copyfile(PYFUNC, code / PYFUNC.name)
    description.flavors["python_function"] |= {"loader_module": PYFUNC.stem, "code": code.name}
    description.save(Path(folder, "MLmodel"))


def columns(classes: Sequence[str]) -> list[str]:
    """A name of its own for the column of each class: the second of two that are called cat is "cat (2)"."""
    names: list[str] = []
    for name in classes:
        candidates = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return names


class _Stored:
    """Stands in for the Keras model where MLflow saves it: the evaluated file is copied, not written again."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def save(self, path: str) -> None:
        shutil.copyfile(self._file, path)


def requirements() -> list[str]:
    """The installed versions of what computes the predictions, as pip takes them."""
    pins = []
    for name in PINNED:
        with suppress(ModuleNotFoundError):
            pins.append(f"{name}=={version(name)}")
    return pins
