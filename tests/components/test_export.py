"""Export: every format computes what the Keras model computes, and equal models give equal bytes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components import export as module
from components.errors import ExportRejected
from components.export import FORMATS, Format, check, export
from components.gate import errors
from components.litert import predict_litert
from components.params import Export, Gate
from components.splits import Split
from components.tflite import calibration_images
from tests.components.conftest import CLASSES, Trained

ROOT = Path(__file__).resolve().parents[2]
PARAMS = Export(calibration_images=50)


@pytest.fixture(scope="session")
def exported(trained: Callable[[int], Trained], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exports of a small trained model."""
    out = tmp_path_factory.mktemp("exported")
    facts = export(trained(0).normalize, trained(0).train, out, PARAMS)
    assert facts["tflite"]["microseconds"] > 0
    assert facts["int8"]["bytes"] < facts["tflite"]["bytes"]
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_format_passes_its_check(exported: Path) -> None:
    """The float formats agree with Keras on every test image, int8 loses nothing, and the check is silent."""
    parity = json.loads((exported / "parity.json").read_text())
    assert parity["n"] == 90
    assert parity["keras"]["accuracy"] > 0.95
    for name in ("saved_model", "tflite"):
        assert parity["formats"][name]["agree"] == 90
        assert parity["formats"][name]["max_difference"] < 1e-5
    assert parity["formats"]["int8"]["max_difference"] < 0.1
    assert check(exported, Gate()) == []


def test_two_processes_write_the_same_bytes(exported: Path, trained: Callable[[int], Trained], tmp_path: Path) -> None:
    """Neither what the process did before nor its random state is in any file."""
    code = (
        "import sys; from pathlib import Path;"
        "from components.export import export; from components.params import Export;"
        "export(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Export(calibration_images=50))"
    )
    made = trained(0)
    command = [sys.executable, "-c", code, str(made.normalize), str(made.train), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert contents(tmp_path) == contents(exported)
    assert set(contents(exported)) == {
        "saved_model/saved_model.pb",
        "model.tflite",
        "model-int8.tflite",
        "parity.json",
    }
    assert [line for line in done.stderr.splitlines() if not line.startswith("  writing ")] == []


def test_the_saved_model_takes_bytes_and_floats(exported: Path, trained: Callable[[int], Trained]) -> None:
    """serving_default takes uint8 pixels and serving_float any pixels between 0 and 255, with the same answer."""
    from components.backend import tensorflow

    tf = tensorflow()
    images = Split(trained(0).normalize / "test").images()
    expected = np.load(trained(0).evaluate / "predictions.npy")
    loaded = tf.saved_model.load(str(exported / "saved_model"))
    whole = loaded.signatures["serving_default"](images=tf.constant(images))["probabilities"].numpy()
    floats = images.astype(np.float32)
    same = loaded.signatures["serving_float"](images=tf.constant(floats))["probabilities"].numpy()
    between = loaded.signatures["serving_float"](images=tf.constant(floats + 0.4))["probabilities"].numpy()
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_array_equal(whole, same)
    assert abs(between - same).max() > 1e-5  # not cut off to whole numbers


@pytest.mark.parametrize("file", ["model.tflite", "model-int8.tflite"])
def test_tflite_takes_raw_pixels_one_by_one(exported: Path, trained: Callable[[int], Trained], file: str) -> None:
    """An app hands over the bytes of one picture; what comes out are probabilities, in whole numbers for int8."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=(exported / file).read_bytes())
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (entry["dtype"], entry["shape"].tolist()) == (np.uint8, [1, 8, 8, 1])
    interpreter.set_tensor(entry["index"], Split(trained(0).normalize / "test").take(np.arange(1)))
    interpreter.invoke()
    given = interpreter.get_tensor(end["index"])
    if file == "model.tflite":
        assert given.dtype == np.float32
        assert given.sum() == pytest.approx(1, abs=1e-5)
    else:
        assert given.dtype == np.uint8
        assert entry["quantization"] == (1.0, 0)
        assert end["quantization"] == (1 / 256, 0)
        assert not [t["name"] for t in interpreter.get_tensor_details() if t["dtype"] == np.float32]
    expected = np.load(trained(0).evaluate / "predictions.npy")[0]
    assert given.argmax() == expected.argmax()


def test_a_file_of_another_model_is_caught(
    trained: Callable[[int], Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is measured as it lies there: one that computes something else does not pass."""
    from components.archive import read_model

    other = read_model(trained(1).train / "model.keras")

    def wrong(model: Any, normalize: Path, out: Path, params: Export) -> None:
        from components.savedmodel import write_saved_model
        from components.tflite import write_float

        write_saved_model(other, tmp_path / "other")
        write_float(tmp_path / "other", out / "model.tflite")

    monkeypatch.setattr(module, "FORMATS", FORMATS | {"tflite": Format("model.tflite", wrong, exact=True)})
    (tmp_path / "out").mkdir()
    export(trained(0).normalize, trained(0).train, tmp_path / "out", PARAMS)
    (text,) = errors(check(tmp_path / "out", Gate()))
    assert text.startswith("model.tflite gives another class than the Keras model for ")


def test_a_file_that_cannot_be_run_is_named(trained: Callable[[int], Trained], tmp_path: Path) -> None:
    """What LiteRT says of a broken file is not lost in the other process."""
    (tmp_path / "model.tflite").write_bytes(b"TFL3" * 100)
    with pytest.raises(RuntimeError, match=r"LiteRT cannot run model\.tflite: "):
        predict_litert(tmp_path / "model.tflite", trained(0).normalize / "test")


def write_parity(folder: Path, **changes: dict[str, Any]) -> Path:
    same = {"correct": 990, "accuracy": 0.99, "agree": 1000, "max_difference": 1e-6, "bytes": 1}
    formats = {name: same | {"path": form.path} | changes.get(name, {}) for name, form in FORMATS.items()}
    parity = {"n": 1000, "keras": {"correct": 990, "accuracy": 0.99}, "formats": formats}
    (folder / "parity.json").write_text(json.dumps(parity))
    return folder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"saved_model": {"agree": 999}}, ["saved_model gives another class than the Keras model for 1 of 1,000"]),
        ({"tflite": {"max_difference": 1.1e-4}}, ["model.tflite gives"]),
        ({"tflite": {"max_difference": 1e-4}}, []),
        ({"int8": {"correct": 989, "agree": 900, "max_difference": 0.2}}, []),
        (
            {"int8": {"correct": 988}},
            ["model-int8.tflite is right for 988 of 1,000 test images, the Keras model for 990"],
        ),
        ({"int8": {"correct": 999}}, []),
        ({"tflite": {"agree": 0}, "saved_model": {"agree": 0}, "int8": {"correct": 0}}, ["saved", "model", "model"]),
    ],
)
def test_the_check_judges_each_format_by_its_own_measure(
    tmp_path: Path, changes: dict[str, Any], told: list[str]
) -> None:
    """Float formats must agree image by image; int8 may differ, but may not lose more than gate.max_export_loss."""
    found = errors(check(write_parity(tmp_path, **changes), Gate(max_export_loss=0.001)))
    assert len(found) == len(told)
    assert all(text.startswith(start) for text, start in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("lost", "bound", "severities"),
    [(1, 0.0005, ["warning"]), (2, 0.0005, ["error"]), (1, 0.0, ["error"]), (0, 0.0, []), (-1, 0.0, [])],
)
def test_one_lost_image_of_few_is_a_warning(tmp_path: Path, lost: int, bound: float, severities: list[str]) -> None:
    """A small test split cannot show less than one image: that one is told, and rejects only under a bound of 0."""
    findings = check(write_parity(tmp_path, int8={"correct": 990 - lost}), Gate(max_export_loss=bound))
    assert [finding.severity for finding in findings] == severities


def test_the_check_loads_nothing_heavy(tmp_path: Path) -> None:
    """It judges on every run, so it reads one small file and neither NumPy nor TensorFlow."""
    write_parity(tmp_path)
    code = (
        "import sys; from pathlib import Path; from components.export import check; from components.params import Gate;"
        "print(check(Path(sys.argv[1]), Gate()), [m for m in ('numpy', 'tensorflow') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[] []\n"


def test_calibration_images_show_every_class(trained: Callable[[int], Trained]) -> None:
    """They are spread evenly over the classes, the same ones every time, and never more than there are."""
    split = Split(trained(0).normalize / "train")
    images = calibration_images(split, 40)
    np.testing.assert_array_equal(images, calibration_images(split, 40))
    whole = split.images()
    labels = [int(split.labels[(whole == image).all(axis=(1, 2, 3))][0]) for image in images]
    shares = np.bincount(labels, minlength=CLASSES) / 40
    np.testing.assert_allclose(shares, np.bincount(split.labels) / len(split), atol=0.03)
    assert len(calibration_images(split, 10_000)) == len(split)


def test_a_model_that_computes_in_bfloat16_is_refused(trained: Callable[[int], Trained], tmp_path: Path) -> None:
    """TFLite has no bfloat16: the layer is named, instead of the converter's hundred lines."""
    from components import archive, models
    from components.models.knobs import Knobs

    model = models.build("dense", Knobs((8, 8, 1), CLASSES), mean=[0.3], std=[0.2], precision="mixed_bfloat16")
    archive.write_model(model, tmp_path / "model.keras")
    with pytest.raises(ExportRejected, match=r"layer flatten .*computes in bfloat16.*train\.precision=float32"):
        export(trained(0).normalize, tmp_path, tmp_path, PARAMS)
