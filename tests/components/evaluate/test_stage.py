import csv
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.data.splits import SplitWriter
from components.errors import ConfigError, ModelRejected
from components.evaluate.figures import metrics as figures
from components.evaluate.stage import BLOCK, check, evaluate
from components.findings import errors, warnings
from components.settings.sections import Evaluate, Gate, Params, Train
from components.system.tensorflow import tensorflow

# Keras saves through h5py by an array protocol that NumPy 2 is about to drop
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

N = BLOCK + 37  # a whole block and a part of one
CLASSES = ["dark", "bright", "never"]
COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def write_training(folder: Path, model: Any, epochs: int = 2) -> None:
    folder.mkdir()
    model.save(folder / "model.keras")
    with (folder / "history.csv").open("w", newline="") as file:
        rows = [(epoch, 1 / epoch, 0.9, 1.1 / epoch, 0.88, 0.001) for epoch in range(1, epochs + 1)]
        csv.writer(file).writerows([COLUMNS, *rows])
    summary = {"train_accuracy": 0.99, "validation_accuracy": 0.98, "best_epoch": epochs, "epochs": epochs}
    write_json(folder / "summary.json", summary | {"stopped_early": False, "parameters": 1, "layers": 2})


def write_normalize(folder: Path, grey: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Images of even grey as the test split; the first few of them to train on and as the validation split."""
    folder.mkdir(exist_ok=True)
    for name, count in (("train", 20), ("validation", 10), ("test", len(grey))):
        with SplitWriter(folder / name, (4, 4, 1)) as split:
            split.add(np.broadcast_to(grey[:count, None, None, None], (len(grey[:count]), 4, 4, 1)), labels[:count])
    write_json(folder / "data.json", {"classes": CLASSES})


def brightness_model(gain: float) -> Any:
    """A model without training: class 1 from mid-grey upwards, class 0 below, class 2 never."""
    tensorflow()
    import keras

    layers = [keras.Input((4, 4, 1), dtype="uint8"), keras.layers.Rescaling(2 / 255, -1.0), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3, activation="softmax")])
    weights = np.tile(np.array([-gain, gain, 0], np.float32) / 16, (16, 1))
    model.layers[-1].set_weights([weights, np.array([0, 0, -30], np.float32)])
    return model


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Artifacts of normalize and train: N images of even grey; every tenth bright image is labelled dark."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, N, dtype=np.uint8)
    labels = (grey >= 128).astype(np.int64)
    labels[np.flatnonzero(labels)[::10]] = 0
    write_normalize(folder / "normalize", grey, labels)
    write_training(folder / "train", brightness_model(4.0))
    return folder / "normalize", folder / "train"


@pytest.fixture(scope="module")
def evaluated(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluate")
    evaluate(*inputs, out, Evaluate(mistakes=5))
    return out


def metrics_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def truth_of(normalize: Path) -> NDArray[np.int64]:
    labels: NDArray[np.int64] = np.load(normalize / "test" / "labels.npy")
    return labels


def test_the_whole_test_split_is_predicted_in_its_order(inputs: tuple[Path, Path], evaluated: Path) -> None:
    """N is no multiple of the block, and every image has its own row of probabilities."""
    probabilities = np.load(evaluated / "predictions.npy")
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (N, 3))
    grey = np.load(inputs[0] / "test" / "images-00000.npy")[:, 0, 0, 0].astype(float)
    odds = 1 / (1 + np.exp(-8 * (2 * grey / 255 - 1)))
    np.testing.assert_allclose(probabilities[:, 1], odds, atol=0.001)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_figures_follow_from_the_predictions(inputs: tuple[Path, Path], evaluated: Path) -> None:
    """Counts, confusion and per-class figures are those of the stored predictions; train's are copied."""
    metrics, truth = metrics_of(evaluated), truth_of(inputs[0])
    predicted = np.load(evaluated / "predictions.npy").argmax(axis=1)
    assert metrics["n"] == N
    assert metrics["correct"] == int((predicted == truth).sum()) == round(metrics["accuracy"] * N)
    assert metrics["wilson_low"] < metrics["accuracy"] < metrics["wilson_high"]
    assert np.sum(metrics["confusion"]) == N
    assert [row["name"] for row in metrics["per_class"]] == CLASSES
    assert [row["support"] for row in metrics["per_class"]] == np.bincount(truth, minlength=3).tolist()
    assert metrics["gap"] == pytest.approx(0.99 - metrics["accuracy"])
    assert len(metrics["calibration"]) == 15


def test_the_mistakes_are_the_most_confident_ones(inputs: tuple[Path, Path], evaluated: Path) -> None:
    """As many as were asked for, the surest first, each with the label, the prediction and its probability."""
    probabilities, truth = np.load(evaluated / "predictions.npy"), truth_of(inputs[0])
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
    mistakes = metrics_of(evaluated)["mistakes"]
    assert [m["probability"] for m in mistakes] == sorted(probabilities.max(axis=1)[wrong], reverse=True)[:5]
    for mistake in mistakes:
        assert truth[mistake["index"]] == mistake["truth"] == 0
        assert probabilities[mistake["index"]].argmax() == mistake["predicted"] == 1


def test_the_same_inputs_give_the_same_bytes_in_another_process(
    inputs: tuple[Path, Path], evaluated: Path, tmp_path: Path
) -> None:
    """A second evaluation, in a fresh process, writes every file alike, pictures included."""
    script = (
        "import sys; from pathlib import Path; from components.evaluate.stage import evaluate\n"
        "from components.settings.sections import Evaluate\n"
        "evaluate(*map(Path, sys.argv[1:4]), Evaluate(mistakes=5))"
    )
    subprocess.run([sys.executable, "-c", script, *map(str, (*inputs, tmp_path))], check=True)

    def digests(folder: Path) -> dict[str, str]:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}

    assert digests(tmp_path) == digests(evaluated)
    assert set(digests(tmp_path)) == {
        "corruptions.json", "metrics.json", "predictions.npy", "suspects.json", "pictures/calibration.png",
        "pictures/confusion.png", "pictures/corruption-curves.png", "pictures/corruption-samples.png",
        "pictures/learning-curves.png", "pictures/mistakes.png", "pictures/slices.png", "pictures/suspects.png",
    }  # fmt: skip


def test_a_model_that_gives_no_numbers_is_rejected(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """Not a number is no wrong answer: the evaluation stops instead of measuring an accuracy."""
    write_training(tmp_path / "train", brightness_model(float("nan")))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelRejected, match=r"gives nan or inf for 1,061 of 1,061 test images \(the first: image 0\)"):
        evaluate(inputs[0], tmp_path / "train", tmp_path / "out", Evaluate())
    assert not (tmp_path / "out" / "metrics.json").exists()


# --- the check


def row(name: str, **changes: Any) -> dict[str, Any]:
    """What metrics.json tells of a class."""
    return {"name": name, "support": 5_000, "recall": 0.98, "wilson_low": 0.976, "wilson_high": 0.984} | changes


def judged(folder: Path, gate: Gate, **changes: Any) -> tuple[list[str], list[str]]:
    """Errors and warnings about an evaluation of 9,800 right out of 10,000, but for *changes*."""
    metrics: dict[str, Any] = {"n": 10_000, "correct": 9_800, "wilson_low": 0.977, "wilson_high": 0.9826, "loss": 0.05}
    metrics |= {"per_class": [row("cat"), row("dog")], "slices": {"parts": []}, "suspects": {}}
    metrics |= {"confidence": {"separation": 0.95, "right": 0.99, "wrong": 0.6}}
    metrics |= {"training": {"best_epoch": 3, "epochs": 12, "stopped_early": False}, "train_accuracy": 0.985} | changes
    metrics["accuracy"] = metrics["correct"] / metrics["n"]
    write_json(folder / "metrics.json", metrics | {"gap": metrics["train_accuracy"] - metrics["accuracy"]})
    with (folder / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, (1, 0.5, 0.9, 0.5, 0.9, 0.001), (2, 0.1, 0.98, 0.1, 0.98, 0.001)])
    findings = check(folder, folder, Train(), gate)
    return errors(findings), warnings(findings)


def test_an_accuracy_at_the_gate_passes_and_one_image_less_does_not(tmp_path: Path) -> None:
    """9,800 of 10,000 is 0.98 and passes; 9,799 is refused, and so is one image too few of any other number."""
    assert judged(tmp_path, Gate()) == ([], [])
    assert judged(tmp_path, Gate(), correct=9_799)[0]
    for n in (100, 300, 1_797, 59_999, 70_000):
        for gate in (0.7, 0.9, 0.98, 0.993):
            least = -(-n * round(gate * 1000) // 1000)
            assert not judged(tmp_path, Gate(min_accuracy=gate), n=n, correct=least)[0]
            assert judged(tmp_path, Gate(min_accuracy=gate), n=n, correct=least - 1)[0]


def test_the_refusal_names_value_interval_distance_setting_and_next_command(tmp_path: Path) -> None:
    """One sentence tells what was measured, what was expected, and what to type."""
    texts, _ = judged(tmp_path, Gate(), correct=9_731, wilson_low=0.96974, wilson_high=0.97609)
    assert texts == [
        "accuracy 97.31 % (9,731 of 10,000; 95 % interval 96.97 to 97.61) is 0.69 points below the gate of 98 % "
        "(gate.min_accuracy); train longer with --set train.epochs=24, or look at the mistakes: "
        "python -m pipeline report"
    ]


def test_a_training_that_had_stopped_improving_is_not_told_to_go_on(tmp_path: Path) -> None:
    """After early stopping, more epochs would change nothing: varied images may."""
    stopped = {"best_epoch": 5, "epochs": 8, "stopped_early": True}
    (text,), _ = judged(tmp_path, Gate(), correct=9_000, training=stopped)
    assert "train.augment" in text
    assert "train.epochs" not in text


def test_a_miss_by_a_hair_is_not_told_as_no_miss(tmp_path: Path) -> None:
    """One image of a million below the gate is neither "98.00 %" nor "0.00 points"."""
    (text,), _ = judged(tmp_path, Gate(), n=1_000_000, correct=979_999)
    assert "accuracy 97.9999 %" in text
    assert "is 0.0001 points below the gate of 98 %" in text


def test_overfitting_is_a_warning_from_above_the_bound_on(tmp_path: Path) -> None:
    """1.0 against 0.97 is a gap of 0.03 and passes (in floats it is 0.030000000000000027); more is told, and passes."""
    assert judged(tmp_path, Gate(min_accuracy=0.9), correct=9_700, train_accuracy=1.0) == ([], [])
    refused, (text,) = judged(tmp_path, Gate(min_accuracy=0.9), correct=9_699, train_accuracy=1.0)
    assert not refused
    assert "3.01 points above" in text
    assert "gate.max_overfit" in text


def test_the_check_loads_neither_numpy_nor_anything_heavier() -> None:
    """It runs on every run with nothing to do, so importing it must cost next to nothing."""
    names = "('numpy', 'tensorflow', 'matplotlib')"
    script = f"import sys, components.evaluate.stage; print([m for m in sys.modules if m in {names}])"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_a_class_below_its_bound_is_refused_by_name_with_interval_and_count(tmp_path: Path) -> None:
    """The worst three are told, the others counted; a class without a test image is a warning, as nothing is known."""
    rows = [row("cat", recall=0.5 + k / 100, wilson_low=0.4, wilson_high=0.7, support=12) for k in range(5)]
    refused, warned = judged(tmp_path, Gate(min_class_recall=0.9), per_class=[*rows, row("yak", support=0)])
    assert len(refused) == 3
    assert refused[0].startswith(
        "recall of class 'cat' is 50.00 % (40.00 to 70.00) of its 12 test images, below the bound of 90 % "
        "(gate.min_class_recall)"
    )
    assert "python -m pipeline report" in refused[0]
    assert "2 more classes are below the bound" in refused[2]
    assert warned == ["class 'yak' has no test image: gate.min_class_recall says nothing about it"]
    assert judged(tmp_path, Gate(), per_class=rows) == ([], [])


def test_a_slice_below_its_bound_is_refused_by_name_with_interval_and_count(tmp_path: Path) -> None:
    """The slice is named by property and span; at the bound it passes."""
    thin = {"property": "stroke thickness", "unit": "pixels", "part": "thinnest", "low": None, "high": 1.9, "n": 90}
    slices = {"parts": [thin | {"correct": 81, "accuracy": 0.9, "wilson_low": 0.82, "wilson_high": 0.946}]}
    (text,), _ = judged(tmp_path, Gate(min_slice_accuracy=0.95), slices=slices)
    assert text.startswith(
        "accuracy on the slice 'thinnest' of stroke thickness (at most 1.9 pixels) is 90.00 % (82.00 to 94.60) of 90 "
        "test images, below the bound of 95 % (gate.min_slice_accuracy)"
    )
    assert judged(tmp_path, Gate(min_slice_accuracy=0.9), slices=slices) == ([], [])


def test_the_error_on_spoilt_images_is_held_to_its_bound_and_must_be_known(tmp_path: Path) -> None:
    """Above the bound is refused with both figures; a bound on what was not measured says how to measure it."""
    assert judged(tmp_path, Gate(max_corruption_error=0.3), corruption_error=0.3) == ([], [])
    (text,), _ = judged(tmp_path, Gate(max_corruption_error=0.3), corruption_error=0.3125)
    assert "mean error on corrupted images is 31.25 %, above the bound of 30 % (gate.max_corruption_error)" in text
    (text,), _ = judged(tmp_path, Gate(max_corruption_error=0.3))
    assert "--set evaluate.corruption_images=1000" in text
    with pytest.raises(ConfigError, match=r"gate.max_corruption_error is 0.3 and evaluate.corruption_images is 0"):
        Params(evaluate=Evaluate(corruption_images=0), gate=Gate(max_corruption_error=0.3))


# --- the pictures


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return bool(image.width > 100 and np.asarray(image.convert("L")).std() > 1) and "Software" not in image.info


@pytest.mark.parametrize("n", [2, 13, 200])
def test_confusion_is_drawn_for_few_and_for_many_classes(n: int, tmp_path: Path) -> None:
    """Two classes and two hundred, with empty rows, and names that are long, in another script, or look like TeX."""
    names = ["$\\nope$", "a very long name of a class", "猫", *map(str, range(n))][:n]
    matrix = np.random.default_rng(0).integers(0, 30, (n, n))
    matrix[0] = 0
    figures.confusion(matrix.tolist(), names, tmp_path / "confusion.png")
    assert is_picture(tmp_path / "confusion.png")


@pytest.mark.parametrize(("count", "channels"), [(0, 1), (1, 1), (2, 3), (40, 3)])
def test_mistakes_are_drawn_grey_and_in_colour_many_and_none(count: int, channels: int, tmp_path: Path) -> None:
    """No mistake at all is a sentence, one is one picture, and long names stand on a line of their own."""
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 6, channels), dtype=np.uint8)
    wrong = [{"index": i, "truth": 0, "predicted": 1, "probability": 0.99} for i in range(count)]
    figures.mistakes(images, wrong, ["short", "rather long"], tmp_path / "mistakes.png")
    assert is_picture(tmp_path / "mistakes.png")


def test_one_epoch_gives_a_picture_and_an_evaluation_without_mistakes_too(tmp_path: Path) -> None:
    """A training of one epoch has points for curves; a model that is always right has an accuracy of 1."""
    write_normalize(tmp_path / "normalize", np.full(3, 255, np.uint8), np.ones(3, np.int64))
    write_training(tmp_path / "train", brightness_model(4.0), epochs=1)
    (tmp_path / "out").mkdir()
    facts = evaluate(tmp_path / "normalize", tmp_path / "train", tmp_path / "out", Evaluate())
    assert (facts["accuracy"], metrics_of(tmp_path / "out")["mistakes"]) == (1.0, [])
    assert facts["headline"] == "accuracy 100.00 % (43.85 to 100.00)"
    assert all(is_picture(path) for path in (tmp_path / "out" / "pictures").iterdir())
    assert not (tmp_path / "out" / "pictures" / "suspects.png").exists()
