"""Export: every format computes what the Keras model computes, and equal models give equal bytes."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.data.splits import Split
from components.errors import ConfigError, ExportRejected
from components.export.benchmark import benchmark
from components.export.check import check
from components.export.conversion.tflite import calibration_images
from components.export.formats import Format, format_of
from components.export.identity import Identity
from components.export.source import Source
from components.export.stage import export
from components.export.writers import tflite
from components.findings import errors
from components.settings.sections import FORMATS, Export, Gate, Params
from tests.components.conftest import CLASSES, NAMES, Trained
from tests.support.model_description import described

ROOT = Path(__file__).resolve().parents[3]
SPARSITY = 0.6
PARAMS = Export(formats=",".join(FORMATS), sparsity=SPARSITY, finetune_epochs=4, calibration_images=50)
EXACT = [name for name in FORMATS if format_of(name).exact]
IDENTITY = Identity(model="bars-classifier", version="3", commit="0123abc", fit="pad", resize="lanczos")
BESIDE = ("README.md", "canaries.npz", "labels.txt", "model_info.json", "parity.json")  # written whatever the formats
TFLITE = [format_of(name).path for name in FORMATS if format_of(name).runtime == "litert"]

Facts = dict[str, dict[str, float]]


@pytest.fixture(scope="session")
def made(trained: Callable[[int], Trained], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Facts]:
    """A small trained model in every format there is, and the facts about them."""
    out = tmp_path_factory.mktemp("exported")
    return out, export_of(trained(0), out, PARAMS)


@pytest.fixture
def exported(made: tuple[Path, Facts]) -> Path:
    return made[0]


def export_of(made: Trained, out: Path, params: Export) -> Facts:
    return export(made.normalize, made.train, made.evaluate, out, params, IDENTITY)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_format_passes_its_check(made: tuple[Path, Facts]) -> None:
    """The float formats agree with Keras on every test image, the others lose nothing, and the check finds nothing."""
    out, facts = made
    parity = json.loads((out / "parity.json").read_text())
    assert parity["n"] == 90
    assert parity["keras"]["accuracy"] > 0.95
    assert list(facts) == list(FORMATS)
    for name in EXACT:
        assert parity["formats"][name]["agree"] == 90
        assert parity["formats"][name]["max_difference"] < 1e-5
    assert parity["formats"]["float16"]["max_difference"] < 0.01
    assert parity["formats"]["int8"]["max_difference"] < 0.1
    assert check(out, Gate(), facts) == []


def test_each_format_is_measured_in_bytes_and_milliseconds(made: tuple[Path, Facts]) -> None:
    """Sizes as they are and under gzip; the median and the 99th percentile of the times of single images."""
    out, facts = made
    for name, measured in facts.items():
        assert set(measured) == {"accuracy", "bytes", "gzip_bytes", "median_ms", "p99_ms"}
        assert 0 < measured["median_ms"] <= measured["p99_ms"]
        path = out / format_of(name).path
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        assert measured["bytes"] == sum(file.stat().st_size for file in files)
        assert 0 < measured["gzip_bytes"] < 1.1 * measured["bytes"]
    assert facts["int8"]["bytes"] < facts["float16"]["bytes"] < facts["tflite"]["bytes"]
    assert "median_ms" not in (out / "parity.json").read_text()


def test_the_class_names_lie_beside_the_files(exported: Path) -> None:
    """In the order of the probabilities, one a line: an exported file says nothing about them."""
    assert (exported / "labels.txt").read_text().splitlines() == ["a", "b", "c", "d"]


def test_two_processes_write_the_same_bytes(exported: Path, trained: Callable[[int], Trained], tmp_path: Path) -> None:
    """Neither the history of the process nor its random state nor its hash seed reaches any file."""
    code = (
        "import sys; from pathlib import Path;"
        "from components.export.identity import Identity;"
        "from components.export.stage import export; from components.settings.sections import Export;"
        f"export(*map(Path, sys.argv[1:]), {PARAMS!r}, {IDENTITY!r})"
    )
    source = trained(0)
    folders = map(str, (source.normalize, source.train, source.evaluate, tmp_path))
    command = [sys.executable, "-c", code, *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    again, before = contents(tmp_path), contents(exported)
    assert {name for name in before if again.get(name) != before[name]} == set()
    assert {name.partition("/")[0] for name in again} == {*BESIDE, *(format_of(name).path for name in FORMATS)}
    assert [line for line in done.stderr.splitlines() if not line.startswith("  ")] == []


def test_the_saved_model_takes_bytes_and_floats(exported: Path, trained: Callable[[int], Trained]) -> None:
    """serving_default takes uint8 pixels and serving_float any pixels between 0 and 255, with the same result."""
    from components.system.tensorflow import tensorflow

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
    assert abs(between - same).max() > 1e-5  # not truncated to integers


@pytest.mark.parametrize("file", TFLITE)
def test_tflite_takes_raw_pixels_one_by_one(exported: Path, trained: Callable[[int], Trained], file: str) -> None:
    """An app passes the bytes of one image and gets probabilities, as integers for int8."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=(exported / file).read_bytes())
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert (entry["name"], entry["dtype"], entry["shape"].tolist()) == ("images", np.uint8, [1, 8, 8, 1])
    interpreter.set_tensor(entry["index"], Split(trained(0).normalize / "test").take(np.arange(1)))
    interpreter.invoke()
    given = interpreter.get_tensor(end["index"])
    if file not in ("model-int8.tflite", "model-pruned.tflite"):
        assert given.dtype == np.float32
        assert given.sum() == pytest.approx(1, abs=1e-5)
    else:
        assert given.dtype == np.uint8
        assert entry["quantization"] == (1.0, 0)
        assert end["quantization"] == (1 / 256, 0)
        assert not [t["name"] for t in interpreter.get_tensor_details() if t["dtype"] == np.float32]
    expected = np.load(trained(0).evaluate / "predictions.npy")[0]
    assert given.argmax() == expected.argmax()


def test_onnx_takes_raw_pixels(exported: Path, trained: Callable[[int], Trained]) -> None:
    """Any number of images, under the names that the SavedModel has, and the file conforms to the standard."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(exported / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    (entry,), (end,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape) == ("images", "tensor(uint8)", ["N", 8, 8, 1])
    assert (end.name, end.type, end.shape) == ("probabilities", "tensor(float)", ["N", CLASSES])
    (given,) = session.run(None, {"images": Split(trained(0).normalize / "test").images()})
    np.testing.assert_allclose(given, np.load(trained(0).evaluate / "predictions.npy"), atol=1e-5)


def test_the_keras_file_is_the_trained_one(exported: Path, trained: Callable[[int], Trained]) -> None:
    """Byte for byte, but for the metadata, in which the names of model and version are added."""
    original, named = (zipfile.ZipFile(folder / "model.keras") for folder in (trained(0).train, exported))
    with original, named:
        assert named.namelist() == original.namelist()
        differing = {name for name in named.namelist() if named.read(name) != original.read(name)}
    assert differing == {"metadata.json"}


def test_pruned_weights_are_zero_in_the_file_and_gzip_shows_it(made: tuple[Path, Facts]) -> None:
    """The chosen share is 0 in the 8-bit weights of each layer; the file is as large as before, its gzip smaller."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    out, facts = made
    model = flatbuffer_utils.read_model(str(out / "model-pruned.tflite"))
    weights = [tensor.buffer for tensor in model.subgraphs[0].tensors if tensor.type == schema.TensorType.INT8]
    held = [model.buffers[place].data for place in weights]
    kernels = [data for data in held if data is not None and len(data) > 1]
    assert len(kernels) == 2
    assert all(np.mean(kernel == 0) >= SPARSITY - 0.01 for kernel in kernels)
    zeros = json.loads((out / "parity.json").read_text())["formats"]["pruned"]["zeros"]
    assert 0.9 * SPARSITY < zeros <= SPARSITY
    assert facts["pruned"]["bytes"] == pytest.approx(facts["int8"]["bytes"], rel=0.01)
    assert facts["pruned"]["gzip_bytes"] < 0.75 * facts["int8"]["gzip_bytes"]


def test_masks_hold_during_fine_tuning(trained: Callable[[int], Trained]) -> None:
    """Exactly the chosen share is 0 after training, the other weights have changed, and biases are not pruned."""
    from components.export.pruning import prune
    from components.models.saving import read_model

    source = trained(0)
    before = read_model(source.train / "model.keras")
    after = prune(
        source.train / "model.keras", source.normalize, Export(formats="pruned", sparsity=0.5, finetune_epochs=1)
    )
    for old, new in zip(before.trainable_variables, after.trainable_variables, strict=True):
        if new.name == "kernel":
            assert (new.numpy() == 0).sum() == int(0.5 * new.numpy().size)
        assert (new.numpy() != old.numpy()).mean() > 0.9


def test_sparsity_rises_steeply_at_first() -> None:
    """Zhu and Gupta's cubic: seven eighths of the way at half the time, all of it at the end."""
    from components.export.pruning import sparsity_at

    assert [sparsity_at(0.8, progress) for progress in (0, 0.5, 1)] == pytest.approx([0, 0.7, 0.8])


def test_depthwise_kernels_and_the_one_that_reads_pixels_are_not_pruned(tmp_path: Path) -> None:
    """They hold few but important weights; a network without other kernels is refused."""
    from components.export.pruning import Masks, prune
    from components.models import saving
    from components.system.tensorflow import tensorflow

    tensorflow()
    import keras
    from keras import layers

    pixels = keras.Input((8, 8, 3), dtype="uint8")
    first = layers.Conv2D(4, 3, name="first")(layers.Rescaling(1 / 255)(pixels))
    spared = keras.Model(pixels, layers.Softmax()(layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(first))))
    last = layers.Dense(CLASSES, name="last")(spared.layers[-2].output)
    assert [kernel.path for kernel in Masks(keras.Model(pixels, last)).kernels] == ["last/kernel"]
    saving.write_model(spared, tmp_path / "model.keras")
    with pytest.raises(ExportRejected, match=r"has no kernel to prune; leave pruned out: --set export\.formats="):
        prune(tmp_path / "model.keras", tmp_path, PARAMS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tflite",
            r"written as model\.tflite: TFLite has no tf\.Cholesky \(odd\S*/Cholesky\); choose formats",
        ),
        ("onnx", r"cannot be written as model\.onnx: ONNX has no Cholesky \(odd\S*/Cholesky\); leave onnx out"),
    ],
)
def test_an_operation_that_a_format_lacks_is_named(name: str, message: str, tmp_path: Path) -> None:
    """One sentence, instead of the hundred lines of the converter."""
    from components.system.tensorflow import tensorflow

    tensorflow()
    import keras
    from keras import layers, ops

    pixels = keras.Input((8, 8, 1), dtype="uint8")
    scaled = layers.Rescaling(1 / 255)(pixels)
    odd = ops.sum(ops.cholesky(scaled[..., 0]), axis=1)
    model = keras.Model(pixels, layers.Softmax()(layers.Dense(CLASSES)(odd)), name="odd")
    with pytest.raises(ExportRejected, match=message):
        format_of(name).write(
            Source(model, tmp_path, tmp_path, tmp_path, PARAMS, described(NAMES)), tmp_path / format_of(name).path
        )


def test_only_the_chosen_formats_are_written(trained: Callable[[int], Trained], tmp_path: Path) -> None:
    """int8 is converted from a SavedModel, which is not exported itself."""
    facts = export_of(trained(0), tmp_path, Export(formats="int8", calibration_images=10))
    assert set(contents(tmp_path)) == {"model-int8.tflite", *BESIDE}
    assert list(facts) == ["int8"]


def test_a_file_of_another_model_is_caught(
    trained: Callable[[int], Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is measured as it was written: one that computes something else does not pass."""
    from components.models.saving import read_model

    other = read_model(trained(1).train / "model.keras")

    def wrong(source: Source, file: Path) -> None:
        (tmp_path / "other").mkdir()
        tflite.write(Source(other, file, source.normalize, tmp_path / "other", PARAMS, described(NAMES)), file)

    monkeypatch.setattr(tflite, "FORMAT", Format("model.tflite", "litert", wrong, exact=True))
    (tmp_path / "out").mkdir()
    facts = export_of(trained(0), tmp_path / "out", Export(formats="tflite"))
    (text,) = errors(check(tmp_path / "out", Gate(), facts))
    assert text.startswith("model.tflite gives another class than the Keras model for ")


@pytest.mark.parametrize(("runtime", "file"), [("litert", "model.tflite"), ("onnxruntime", "model.onnx")])
def test_a_file_that_cannot_be_run_is_named(
    runtime: str, file: str, trained: Callable[[int], Trained], tmp_path: Path
) -> None:
    """The message of the runtime survives the other process."""
    (tmp_path / file).write_bytes(b"TFL3" * 100)
    with pytest.raises(ExportRejected, match=rf"(LiteRT|ONNX Runtime) cannot run {file}: \S"):
        benchmark(runtime, [tmp_path / file], trained(0).normalize / "test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("saved_model,tflit", "there is no format 'tflit'; did you mean 'tflite'?"),
        ("coreml", "there is no format 'coreml'; expected some of saved_model, tflite, "),
        (" , ", "expected at least one of saved_model, tflite, "),
    ],
)
def test_a_wrong_list_of_formats_is_refused_before_anything_runs(text: str, message: str) -> None:
    """With a suggestion, where one is close."""
    with pytest.raises(ConfigError) as error:
        Export(formats=text)
    assert message in str(error.value)
    assert str(error.value).startswith(f"export.formats is '{text}'; ")


def test_equal_sets_of_formats_are_one_setting() -> None:
    """Order, spaces and repetitions make no other key."""
    assert Export(formats=" int8, saved_model,int8").formats == "saved_model,int8"


def test_settings_that_leave_nothing_to_prune_or_to_bound_are_refused() -> None:
    """Before training: a sparsity of 0, a budget for a file that is not exported, a ratio without its base."""
    with pytest.raises(ConfigError, match=r"export\.sparsity is 0: nothing would be pruned"):
        Export(formats="pruned", sparsity=0)
    with pytest.raises(ConfigError, match=r"gate\.max_bytes applies to the format onnx, which is not in export"):
        Params(gate=Gate(budget_format="onnx", max_bytes=9))
    with pytest.raises(ConfigError, match=r"ratio to tflite, .*use --set export\.formats=int8,tflite"):
        Params(gate=Gate(max_latency_ratio=1), export=Export(formats="int8"))
    assert Params(export=Export(formats="onnx")).gate.budget_format == "int8"  # no bound is set


def test_calibration_images_show_every_class(trained: Callable[[int], Trained]) -> None:
    """They are spread evenly over the classes, equal every time, and never more than there are."""
    split = Split(trained(0).normalize / "train")
    images = calibration_images(split, 40)
    np.testing.assert_array_equal(images, calibration_images(split, 40))
    whole = split.images()
    labels = [int(split.labels[(whole == image).all(axis=(1, 2, 3))][0]) for image in images]
    shares = np.bincount(labels, minlength=CLASSES) / 40
    np.testing.assert_allclose(shares, np.bincount(split.labels) / len(split), atol=0.03)
    assert len(calibration_images(split, 10_000)) == len(split)


def test_a_model_that_computes_in_bfloat16_is_refused(trained: Callable[[int], Trained], tmp_path: Path) -> None:
    """TFLite has no bfloat16: one sentence names the layer, instead of the hundred lines of the converter."""
    from components.models import build, saving
    from components.models.config import ModelConfig

    model = build.build("dense", ModelConfig((8, 8, 1), CLASSES), mean=[0.3], std=[0.2], precision="mixed_bfloat16")
    saving.write_model(model, tmp_path / "model.keras")
    with pytest.raises(ExportRejected, match=r"layer flatten .*computes in bfloat16.*train\.precision=float32"):
        export_of(replace(trained(0), train=tmp_path), tmp_path, PARAMS)
