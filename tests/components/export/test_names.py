"""The names in each exported file, read back by the format's own reader."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import number_types
from flatbuffers.table import Table
from numpy.typing import NDArray
from PIL import Image

from components.data.splits import Split
from components.export import labels
from components.export.conversion import tflite_metadata
from components.export.formats import format_of
from components.export.identity import Identity
from components.export.stage import export
from components.models.saving import copy_model, read_classes, read_model
from components.settings.sections import FORMATS, Export
from tests.components.conftest import SHAPE, Trained, write_evaluate, write_model, write_normalize
from tests.support.model_description import described

ODD = ["a, b", 'the "best"', "two\nlines\u2028here", "日本語 ü"]
CLEAN = ["a, b", 'the "best"', "two lines here", "日本語 ü"]
MODEL = "pets 100%, für zu Hause"
ABOUT = described(ODD, SHAPE, MODEL)
TFLITE = [format_of(name).path for name in FORMATS if format_of(name).runtime == "litert"]


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with odd names in every format there is."""
    root = tmp_path_factory.mktemp("named")
    normalize = write_normalize(root / "normalize")
    train = write_model(normalize, root / "train", 0, epochs=2)
    made = Trained(normalize, train, write_evaluate(normalize, train, root / "evaluate"))
    data = json.loads((normalize / "data.json").read_text()) | {"classes": ODD}
    (normalize / "data.json").write_text(json.dumps(data))
    (root / "out").mkdir()
    params = Export(formats=",".join(FORMATS), finetune_epochs=0, calibration_images=20)
    export(made.normalize, made.train, made.evaluate, root / "out", params, Identity(MODEL, "12", "abc", "crop", "box"))
    return root / "out"


def test_labels_are_one_line_each_whatever_the_names_hold(named: Path) -> None:
    """The number of the line is that of the class, so a line break in a name becomes a space."""
    assert (named / "labels.txt").read_text(encoding="utf-8").split("\n") == [*CLEAN, ""]


@pytest.mark.parametrize(
    ("classes", "lines"),
    [
        ([f"class {number}" for number in range(1000)], 1000),
        (["a\nb", "a b"], 2),
        (["\n", ""], 2),
        (["x\r\n", "\x0b", "\x85"], 3),
    ],
    ids=["a thousand", "equal lines", "empty lines", "every kind of line break"],
)
def test_each_class_has_a_line(classes: list[str], lines: int) -> None:
    """Also where two lines are equal, or empty."""
    text = labels.text(classes)
    assert text.count("\n") == len(text.splitlines()) == lines


@pytest.mark.parametrize("file", TFLITE)
def test_a_tflite_file_unpacks_to_its_labels(named: Path, file: str) -> None:
    """As a zip, not compressed: the readers on phones take no other."""
    with zipfile.ZipFile(named / file) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
        assert archive.read("labels.txt") == (named / "labels.txt").read_bytes()
    content = (named / file).read_bytes()
    assert content[entry.header_offset : entry.header_offset + 4] == b"PK\x03\x04"  # counted from the file's start


@pytest.mark.parametrize("file", TFLITE)
def test_tflite_metadata_says_what_the_model_takes_and_answers(named: Path, file: str) -> None:
    """Read field by field, by their numbers in the schema."""
    root = Flat.root(metadata_in(named / file))
    assert [root.text(field) for field in (0, 1, 2, 7)] == [MODEL, "Classifies images into 4 classes.", "12", "1.0.0"]
    (subgraph,) = root.tables(3)
    (images,), (probabilities,) = subgraph.tables(2), subgraph.tables(3)
    assert images.text(0) == "images"
    assert images.text(1) == "pixels 0 to 255, grey; resized with box, other proportions: crop"
    content = images.table(3)
    assert (content.byte(0), content.table(1).byte(0)) == (2, 2)  # an image in grey
    size = content.table(1).table(1)
    assert (size.number(0), size.number(1)) == (8, 8)
    (unit,) = images.tables(4)
    assert (unit.byte(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0.0], [1.0])
    assert (images.table(5).floats(0), images.table(5).floats(1)) == ([255.0], [0.0])
    (file_of_labels,) = probabilities.tables(6)
    assert (probabilities.text(0), file_of_labels.text(0), file_of_labels.byte(2)) == ("probabilities", "labels.txt", 2)


def metadata_in(file: Path) -> bytes:
    """The buffer TFLITE_METADATA, as TensorFlow reads the model."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(file))
    (entry,) = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


class Flat(Table):  # type: ignore[misc]
    """A table of a flatbuffer, its fields by number."""

    @classmethod
    def root(cls, content: bytes) -> "Flat":
        assert flatbuffers.util.BufferHasIdentifier(content, 0, b"M001")
        return cls(content, flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))

    def _at(self, field: int) -> int:
        offset = int(self.Offset(4 + 2 * field))
        assert offset, f"there is no field {field}"
        return offset + int(self.Pos)

    def text(self, field: int) -> str:
        return bytes(self.String(self._at(field))).decode()

    def byte(self, field: int) -> int:
        return int(self.Get(number_types.Uint8Flags, self._at(field)))

    def number(self, field: int) -> int:
        return int(self.Get(number_types.Uint32Flags, self._at(field)))

    def table(self, field: int) -> "Flat":
        return Flat(self.Bytes, self.Indirect(self._at(field)))

    def _places(self, field: int) -> list[int]:
        start, length = self.Vector(self._at(field) - self.Pos), self.VectorLen(self._at(field) - self.Pos)
        return [start + 4 * number for number in range(length)]

    def tables(self, field: int) -> list["Flat"]:
        return [Flat(self.Bytes, self.Indirect(place)) for place in self._places(field)]

    def floats(self, field: int) -> list[float]:
        return [float(self.Get(number_types.Float32Flags, place)) for place in self._places(field)]


def test_colour_images_are_said_to_be_rgb() -> None:
    """And their size is width before height."""
    (subgraph,) = Flat.root(tflite_metadata.metadata(described(ODD, (24, 32, 3)))).tables(3)
    image = subgraph.tables(2)[0].table(3).table(1)
    assert (image.byte(0), image.table(1).number(0), image.table(1).number(1)) == (1, 32, 24)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("file", TFLITE)
def test_tensorflows_interpreter_takes_the_file_with_its_names(named: Path, file: str) -> None:
    """LiteRT has measured it already; what stands behind the model disturbs neither."""
    from components.system.tensorflow import tensorflow

    interpreter = tensorflow().lite.Interpreter(model_path=str(named / file))
    interpreter.allocate_tensors()
    assert interpreter.get_input_details()[0]["name"] == "images"


@pytest.mark.parametrize("file", TFLITE)
def test_a_tflite_file_is_for_one_image_and_can_be_resized_for_more(named: Path, file: str) -> None:
    """Without a signature of -1 images, which LiteRT.js takes no tensor for; several answers are those one by one."""
    interpreter = Interpreter(str(named / file), num_threads=1)
    for detail in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert detail["shape_signature"].tolist() == detail["shape"].tolist()
        assert detail["shape"][0] == 1
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    together = answers(interpreter, images)
    one_by_one = [answers(interpreter, image[None])[0] for image in images]
    np.testing.assert_allclose(together, one_by_one, atol=1e-6 if together.dtype == np.float32 else 0)


def answers(interpreter: Interpreter, images: NDArray[np.uint8]) -> NDArray[Any]:
    entry, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(entry, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, images)
    interpreter.invoke()
    result: NDArray[Any] = interpreter.get_tensor(output)
    return result


def test_onnx_runtime_shows_the_names(named: Path) -> None:
    """Its metadata_props; lists are JSON."""
    import onnxruntime

    meta = onnxruntime.InferenceSession(named / "model.onnx").get_modelmeta()
    assert (meta.version, meta.graph_name) == (12, "model")
    shown = meta.custom_metadata_map
    assert (shown["model"], shown["version"]) == (MODEL, "12")
    assert json.loads(shown["classes"]) == ODD
    assert json.loads(shown["input"]) == ABOUT["input"]


def test_the_saved_model_has_its_labels_as_an_asset(named: Path, tmp_path: Path) -> None:
    """Loaded from wherever it lies; model_info.json is where TensorFlow Serving leaves files alone."""
    from components.system.tensorflow import tensorflow

    moved = (named / "saved_model").rename(tmp_path / "moved")
    try:
        loaded = tensorflow().saved_model.load(str(moved))
        (asset,) = loaded.asset_paths
        file = Path(asset.asset_path.numpy().decode())
        assert file == moved / "assets" / "labels.txt"
        assert file.read_text(encoding="utf-8").split("\n") == [*CLEAN, ""]
        assert sorted(loaded.signatures) == ["serving_default", "serving_float"]
        assert json.loads((moved / "assets.extra" / "model_info.json").read_bytes()) == ABOUT
    finally:
        moved.rename(named / "saved_model")


def test_the_keras_file_has_its_names_beside_the_trained_weights(named: Path, tmp_path: Path) -> None:
    """In metadata.json, which Keras reads and leaves alone; layers and weights are the trained ones, byte for byte."""
    with zipfile.ZipFile(named / "model.keras") as archive:
        metadata = json.loads(archive.read("metadata.json"))
    assert {name: metadata[name] for name in ABOUT} == ABOUT
    assert metadata["keras_version"]
    assert read_classes(named / "model.keras") == ODD
    images = np.zeros((1, *SHAPE), np.uint8)
    assert read_model(named / "model.keras").predict_on_batch(images).shape == (1, 4)


def test_to_name_a_keras_file_again_changes_nothing_else(named: Path, tmp_path: Path) -> None:
    """Equal models with equal names are equal files."""
    copy_model(named / "model.keras", tmp_path / "again.keras", dict(ABOUT))
    assert (tmp_path / "again.keras").read_bytes() == (named / "model.keras").read_bytes()


def test_the_canaries_are_test_images_with_the_answers_of_the_served_file(named: Path) -> None:
    """Each class at least once, at most 32, in the order of the split."""
    from components.inference.runtimes import load

    with np.load(named / "canaries.npz", allow_pickle=False) as canaries:
        images, probabilities = canaries["images"], canaries["probabilities"]
    assert (images.dtype, images.shape) == (np.uint8, (32, *SHAPE))
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (32, 4))
    np.testing.assert_allclose(load("litert", named / "model.tflite", threads=1)(images), probabilities, atol=1e-6)
    split = Split(named.parent / "normalize" / "test")
    places = [int(np.flatnonzero((split.images() == image).all(axis=(1, 2, 3)))[0]) for image in images]
    assert places == sorted(places)
    assert set(split.labels[places]) == {0, 1, 2, 3}


def test_model_info_names_every_file_with_its_sha256(named: Path) -> None:
    """A reader of it can verify the folder byte by byte."""
    from components.system.files import sha256_of_file

    info = json.loads((named / "model_info.json").read_bytes())
    files = {path.relative_to(named).as_posix() for path in named.rglob("*") if path.is_file()}
    assert {*info["files"], "model_info.json"} == files
    for name, listed in info["files"].items():
        assert listed == {"bytes": (named / name).stat().st_size, "sha256": sha256_of_file(named / name)}
    assert {name: info[name] for name in ABOUT} == ABOUT
    assert info["model_sha256"] == sha256_of_file(named.parent / "train" / "model.keras")
    parity = json.loads((named / "parity.json").read_bytes())
    assert info["accuracy"] == parity["formats"]["tflite"]["accuracy"]
    assert info["wilson_low"] < info["accuracy"] <= info["wilson_high"]
    assert info["formats"]["int8"]["path"] == "model-int8.tflite"


def test_the_cards_python_runs_as_it_stands(named: Path, tmp_path: Path) -> None:
    """Copied from the page into a file beside the model."""
    card = (named / "README.md").read_text(encoding="utf-8")
    code = card.partition("```python\n")[2].partition("```")[0]
    for name in ("model.tflite", "labels.txt"):
        shutil.copy(named / name, tmp_path)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "picture.png")
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    answer, _, probability = done.stdout.strip().rpartition(" ")
    assert answer in CLEAN
    assert 0 < float(probability) <= 1
