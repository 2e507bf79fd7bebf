"""Register: one version per model however often the stage runs, with the evaluated file itself."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from components.data.splits import Split
from components.errors import RegistryRefused, RegistryUnreachable
from components.register import stage
from components.register.stage import Registered, columns, register, requirements, restore
from components.registry import recorded_files
from components.registry.client import Registry, model_sha256
from components.registry.model_version import MODEL_SHA256_TAG
from tests.components.conftest import NAMES, SHAPE, Trained, new_run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def again(registry: Registry, trained: Callable[[int], Trained], tmp_path: Path) -> Callable[..., Registered]:
    """Register the model of a seed; an MLflow run is created only where it is needed."""

    def act(seed: int = 0, at: Registry | None = None, run: Callable[[], str] | None = None, **tags: str) -> Registered:
        made, where = trained(seed), at or registry
        run = run or (lambda: new_run(where, tmp_path))
        return register(made.normalize, made.train, made.evaluate, where, "m", run, {"accuracy": "0.99"} | tags)

    return act


def unwanted() -> str:
    raise AssertionError("there is nothing to log, so no run may be created")


def test_a_model_is_registered_once(registry: Registry, again: Callable[..., Registered]) -> None:
    """The second time reuses the version; another model gets its own, and the alias."""
    assert again() == {"name": "m", "version": "1", "aliases": ["challenger"], "made": True}
    assert again(run=unwanted) == {"name": "m", "version": "1", "aliases": ["challenger"], "made": False}
    assert again(1) == {"name": "m", "version": "2", "aliases": ["challenger"], "made": True}
    assert [(v.version, v.aliases) for v in registry.versions("m")] == [("1", ()), ("2", ("challenger",))]
    assert again(run=unwanted)["made"] is False
    assert [(v.version, v.aliases) for v in registry.versions("m")] == [("1", ("challenger",)), ("2", ())]


def test_the_tags_of_a_version_follow_its_artifacts(registry: Registry, again: Callable[..., Registered]) -> None:
    """New code makes the same model under another key: garbage collection may take the old artifacts, not the new."""
    again(**{"train.key": "old", "source": "first"})
    assert again(run=unwanted, **{"train.key": "new", "source": "second"})["made"] is False
    (version,) = registry.versions("m")
    assert (version.tags["train.key"], version.tags["source"]) == ("new", "first")


@pytest.mark.parametrize("call", ["create_logged_model", "log_model_artifacts", "log_outputs", "finalize_logged_model"])
def test_an_io_error_of_the_database_while_a_model_is_logged_is_a_failure(
    registry: Registry, again: Callable[..., Registered], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Not a traceback of MLflow's client; the next run registers the model."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

    def fail(*_: object, **__: object) -> None:
        raise MlflowException("(sqlite3.OperationalError) disk I/O error", TEMPORARILY_UNAVAILABLE)

    with monkeypatch.context() as patch:
        patch.setattr(registry.client, call, fail)
        with pytest.raises(RegistryUnreachable, match="disk I/O error"):
            again()
    assert again()["version"] == "1"


def test_class_names_that_somebody_changed_or_deleted_come_back(
    registry: Registry, again: Callable[..., Registered]
) -> None:
    """They are those of the model's file; MLflow's UI lets everybody write anything into a tag."""
    again()
    registry.set_tag("m", "1", "classes", '["w", "x", "y", "z"]')
    for _ in range(2):
        again(run=unwanted)
        assert registry.versions("m")[0].tags["classes"] == '["a", "b", "c", "d"]'
        registry.delete_tag("m", "1", "classes")


def test_a_version_says_where_it_comes_from(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained]
) -> None:
    """The version has the sha256 of the model, its accuracy, its run, the names of its classes and a description."""
    again()
    (version,) = registry.versions("m")
    tags = {"accuracy": "0.99", "classes": '["a", "b", "c", "d"]'}
    folder = Path(version.source.removeprefix("file://"))
    record = hashlib.sha256((folder / recorded_files.RECORD).read_bytes()).hexdigest()
    identity = {MODEL_SHA256_TAG: model_sha256(trained(0).train), recorded_files.SHA256_TAG: record}
    assert version.tags == tags | identity
    described = registry.client.get_model_version("m", "1")
    assert "of 90 test images right" in described.description
    assert "uint8 pixels 0..255, (N, 8 x 8 x 1)" in described.description
    assert "bars" in registry.client.get_registered_model("m").description
    run = registry.client.get_run(version.run_id)
    (output,) = run.outputs.model_outputs
    logged = registry.client.get_logged_model(output.model_id)
    assert (logged.artifact_location, logged.status) == (version.source, "READY")


def test_the_registry_holds_the_evaluated_file_and_no_pickle(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained]
) -> None:
    """What was evaluated is what is fetched, byte by byte, with readable text files."""
    again()
    (version,) = registry.versions("m")
    folder = Path(version.source.removeprefix("file://"))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {*recorded_files.read(folder, version.tags["files.sha256"])} == files - {"SHA256SUMS"}
    assert files == {
        "MLmodel",
        "SHA256SUMS",
        "code/class_probabilities.py",
        "conda.yaml",
        "data/keras_module.txt",
        "data/model.keras",
        "input_example.json",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    }
    assert hashlib.sha256((folder / "data" / "model.keras").read_bytes()).hexdigest() == version.model_sha256
    assert set(requirements()) < set((folder / "requirements.txt").read_text().split())
    assert {pin.partition("==")[0] for pin in requirements()} >= {"keras", "numpy"}


def test_what_is_gone_from_the_registry_is_written_again(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """With every file of MLflow's around it, so that MLflow loads the model; a part that is there is replaced too."""
    again()
    (version,) = registry.versions("m")
    folder = Path(version.source.removeprefix("file://"))
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for gone in (folder / "data", folder, tmp_path / "mlartifacts" / "models"):
        shutil.rmtree(gone)
        digest = restore(trained(0).normalize, trained(0).train, version, folder)
        after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        described, record = Path("MLmodel"), Path(recorded_files.RECORD)
        old, new = (yaml.safe_load(files[described]) for files in (before, after))
        assert {**old, "utc_time_created": ""} == {**new, "utc_time_created": ""}
        changed = {name for name in before if after.get(name) != before[name]}
        assert changed == (set() if gone == folder / "data" else {described, record})
        assert after.keys() == before.keys()
        assert hashlib.sha256(after[record]).hexdigest() == digest
        assert [path.name for path in folder.parent.iterdir()] == ["artifacts"]


def test_the_files_are_on_the_disk_before_the_version_exists(
    registry: Registry, again: Callable[..., Registered], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure no version points at an empty file."""
    flushed: list[Path] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        assert registry.versions("m") == []
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    again()
    (version,) = registry.versions("m")
    folder = Path(version.source.removeprefix("file://"))
    assert {folder, folder.parent, *folder.rglob("*")} <= set(flushed)


def test_a_wiped_registry_gets_its_version_again(
    registry: Registry, again: Callable[..., Registered], empty_database: Path, tmp_path: Path
) -> None:
    """The version is looked up, not remembered."""
    again()
    fresh = tmp_path / "fresh.db"
    shutil.copy(empty_database, fresh)
    assert again(at=Registry(f"sqlite:///{fresh}"))["made"] is True
    assert again(run=unwanted)["made"] is False


def test_two_at_once_create_one_version(registry: Registry, again: Callable[..., Registered], tmp_path: Path) -> None:
    """Both find nothing and create a version: the older one stays, and both return it."""
    both = threading.Barrier(2)
    runs = [new_run(registry, tmp_path) for _ in range(2)]
    facts: list[Registered] = []

    def one(run: str) -> None:
        def when_both_are_here() -> str:
            both.wait(120)
            return run

        facts.append(again(at=Registry(registry.uri), run=when_both_are_here))

    threads = [threading.Thread(target=one, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (version,) = registry.versions("m")
    assert [fact["version"] for fact in facts] == [version.version] * 2
    assert version.aliases == ("challenger",)


def test_a_version_that_is_deleted_at_once_is_told(registry: Registry) -> None:
    """Somebody in MLflow's UI was faster than the next look at the registry."""
    with pytest.raises(RegistryRefused, match=r"version 3 of m was deleted as soon as it was created; run it again"):
        stage._oldest(registry, "m", "3", "of the model")


def test_nothing_to_do_loads_neither_mlflow_nor_tensorflow(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained]
) -> None:
    """The look-up comes first, so a run with nothing to do stays fast."""
    again()
    made = trained(0)
    code = (
        "import sys; from pathlib import Path; from components.register.stage import register;"
        "from components.registry.client import Registry; n, t, e, uri = sys.argv[1:];"
        "facts = register(Path(n), Path(t), Path(e), Registry(uri), 'm', lambda: 1 / 0, {});"
        "print(facts['made'], [m for m in ('mlflow', 'tensorflow', 'keras', 'numpy') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(made.normalize), str(made.train), str(made.evaluate), registry.uri]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False []\n"


def test_mlflow_predicts_from_raw_pixels(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """`mlflow models predict` takes {"inputs": pixels} and predicts as Keras does, with unpickling forbidden.

    The answer names the class of each probability.
    """
    again()
    (version,) = registry.versions("m")
    images = Split(trained(0).normalize / "test").take(np.arange(3))
    question, answer = tmp_path / "question.json", tmp_path / "answer.json"
    question.write_text(json.dumps({"inputs": images.tolist()}))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "--model-uri", version.source]
    command += ["--env-manager", "local", "--input-path", str(question), "--output-path", str(answer)]
    python = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # it starts `python` again
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **python}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(answer.read_text())["predictions"]
    assert [list(row) for row in rows] == 3 * [NAMES]
    expected = np.load(trained(0).evaluate / "predictions.npy")[:3]
    np.testing.assert_allclose([list(row.values()) for row in rows], expected, atol=1e-6)
    described = (Path(version.source.removeprefix("file://")) / "MLmodel").read_text()
    assert json.dumps([-1, *SHAPE]) in " ".join(described.split())
    assert yaml.safe_load(described)["metadata"] == {"classes": ["a", "b", "c", "d"]}


ELSEWHERE = """
import importlib.util, sys
assert importlib.util.find_spec("components") is None
import mlflow.keras, mlflow.pyfunc, numpy as np
images = np.load(sys.argv[2])
table = mlflow.pyfunc.load_model(sys.argv[1]).predict(images)
table.to_json(sys.argv[3])
np.testing.assert_array_equal(mlflow.keras.load_model(sys.argv[1]).predict(images, verbose=0), table.to_numpy())
print(table.dtypes.unique(), table.shape)
"""


def test_pyfunc_answers_with_a_column_for_each_class_where_this_project_is_not_installed(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """The loader comes with the model; the Keras flavour answers with the bare probabilities as before."""
    again()
    (version,) = registry.versions("m")
    np.save(tmp_path / "images.npy", Split(trained(0).normalize / "test").take(np.arange(3)))
    command = [sys.executable, "-I", "-c", ELSEWHERE, version.source, *map(str, tmp_path.glob("images.npy"))]
    done = subprocess.run(
        [*command, str(tmp_path / "table.json")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[dtype('float32')] (3, 4)\n"
    table = json.loads((tmp_path / "table.json").read_text())
    assert list(table) == NAMES
    expected = np.load(trained(0).evaluate / "predictions.npy")[:3]
    np.testing.assert_allclose(np.array([list(column.values()) for column in table.values()]).T, expected, atol=1e-6)


def test_the_registered_model_has_signature_and_example(registry: Registry, again: Callable[..., Registered]) -> None:
    """MLflow's UI shows what goes in and what comes out, by name."""
    again()
    (version,) = registry.versions("m")
    described = yaml.safe_load((Path(version.source.removeprefix("file://")) / "MLmodel").read_text())
    outputs = json.loads(described["signature"]["outputs"])
    assert [(column["name"], column["type"]) for column in outputs] == [(name, "float") for name in NAMES]
    assert described["saved_input_example_info"]["artifact_path"] == "input_example.json"
    assert described["flavors"]["python_function"]["loader_module"] == "class_probabilities"


def test_columns_have_names_of_their_own() -> None:
    """Also where two classes are called the same."""
    assert columns(["a, b", "cat", "cat (2)", "cat", "cat"]) == ["a, b", "cat", "cat (2)", "cat (3)", "cat (4)"]


def test_files_that_are_written_again_leave_the_exports_and_the_signature_where_they_are(
    registry: Registry, again: Callable[..., Registered], trained: Callable[[int], Trained]
) -> None:
    """They lie beside them, and another machine may have nothing else to serve."""
    again()
    (version,) = registry.versions("m")
    folder = Path(version.source.removeprefix("file://"))
    (folder / "exports").mkdir()
    (folder / "exports" / "model.tflite").write_text("served")
    (folder / "signature").mkdir()
    (folder / "signature" / "model.sig").write_text("signed")
    shutil.rmtree(folder / "data")
    restore(trained(0).normalize, trained(0).train, version, folder)
    assert (folder / "exports" / "model.tflite").read_text() == "served"
    assert (folder / "signature" / "model.sig").read_text() == "signed"


def test_damage_that_the_store_cannot_repair_is_still_known_after_other_damage_was(
    registry: Registry, trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """A changed provenance.json stays as it is, and differs from the new record, with and without an old one."""
    made, documents = trained(0), {"provenance.json": b"{}", "provenance/changes.diff": b"+"}
    run = new_run(registry, tmp_path)
    register(made.normalize, made.train, made.evaluate, registry, "m", lambda: run, {}, lambda: documents)
    (version,) = registry.versions("m")
    folder = Path(version.source.removeprefix("file://"))
    (folder / "provenance.json").write_text("changed")
    for lost in ("MLmodel", recorded_files.RECORD):
        (folder / lost).unlink()
        digest = restore(made.normalize, made.train, version, folder)
        sums = recorded_files.read(folder, digest)
        assert [name for name, _ in recorded_files.damages(folder, sums)] == ["provenance.json"]
        assert (folder / "provenance" / "changes.diff").read_bytes() == b"+"
