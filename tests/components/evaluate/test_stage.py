import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import problems
from components.data.splits import SplitWriter
from components.errors import ModelRejected
from components.evaluate.check import check
from components.evaluate.image_files import NormalizedFiles
from components.evaluate.stage import evaluate
from components.models.prediction import BATCH_SIZE
from components.settings.derived import TrainingImages, training
from components.settings.sections import Evaluate, Gate, Train
from pipeline.store.code_hash import code_hashes
from tests.support.brightness_model import (
    CLASSES,
    brightness_model,
    contents,
    write_json,
    write_normalize,
    write_training,
)

# Keras saves through h5py by an array protocol that NumPy 2 is about to drop
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SIDES = (("test", "out"), ("validation", "in"))
N = BATCH_SIZE + 37  # a whole batch and a part of one


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Artifacts of normalize and train: N images of uniform grey; every tenth bright image is labelled dark."""
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
    """N is not a multiple of the batch size, and every image has its own row of probabilities."""
    probabilities = np.load(evaluated / "predictions.npy")
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (N, 3))
    grey = np.load(inputs[0] / "test" / "images-00000.npy")[:, 0, 0, 0].astype(float)
    odds = 1 / (1 + np.exp(-8 * (2 * grey / 255 - 1)))
    np.testing.assert_allclose(probabilities[:, 1], odds, atol=0.001)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_scores_follow_from_the_predictions(inputs: tuple[Path, Path], evaluated: Path) -> None:
    """Counts, confusion and per-class scores are those of the stored predictions; those of train are copied."""
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
    """As many as are set, the most confident first, each with the label, the prediction and its probability."""
    probabilities, truth = np.load(evaluated / "predictions.npy"), truth_of(inputs[0])
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
    mistakes = metrics_of(evaluated)["mistakes"]
    assert [m["probability"] for m in mistakes] == sorted(probabilities.max(axis=1)[wrong], reverse=True)[:5]
    for mistake in mistakes:
        assert truth[mistake["index"]] == mistake["truth"] == 0
        assert probabilities[mistake["index"]].argmax() == mistake["predicted"] == 1


def test_mistakes_and_suspects_are_named_by_their_files(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """All of them in problems.csv, those that are drawn in metrics.json and suspects.json, the first five in a note.

    Test images keep the order of ingest; images of validation are found there by their content.
    """
    normalize = tmp_path / "normalize"
    grey, labels = np.array([250, 5, 10, 240, 245, *range(20, 25), 200, 3], np.uint8), np.ones(12, np.int64)
    labels[[1, 2, 5, 6, 7, 8, 9, 11]] = 0
    labels[[0, 1]] = 0, 1
    write_normalize(normalize, grey, labels)
    ingest, order = tmp_path / "ingest", np.arange(12)[::-1]
    for name, indices in (("train", order), ("test", np.arange(12))):
        with SplitWriter(ingest / name, (4, 4, 1)) as split:
            split.add(np.broadcast_to(grey[indices, None, None, None], (12, 4, 4, 1)), labels[indices])
    files = {"train": [f"in/{i}.png" for i in order], "test": [f"out/{i}.png" for i in range(12)]}
    (ingest / "files.json").write_text(json.dumps(files))
    (tmp_path / "out").mkdir()
    evaluate(normalize, inputs[1], tmp_path / "out", Evaluate(mistakes=1, suspects=2, corruption_images=0), ingest)
    rows = problems.read(tmp_path / "out")
    assert {(row.image.split, row.image.file, row.problem) for row in rows} == {
        *(("test", f"out/{i}.png", "mistake") for i in (0, 1)),
        *((split, f"{folder}/{i}.png", "suspected-label") for i in (0, 1) for split, folder in SIDES),
    }
    assert rows[0].detail.startswith("predicted 'bright' with a probability of 100.0 %")
    assert [mistake["file"] for mistake in metrics_of(tmp_path / "out")["mistakes"]] == ["out/0.png"]
    findings = check(tmp_path / "out", inputs[1], training(Train(), TrainingImages(300, 1, 1.0)), Gate())
    notes = [finding.text for finding in findings if "out/0.png" in finding.text]
    assert notes[0] == "2 of 12 test images are misclassified: out/0.png ('dark' -> 'bright', 100 %) and 1 more"
    assert notes[1].startswith("4 labels are suspected to be wrong: ")


def test_of_one_image_in_two_class_folders_the_file_with_the_suspected_label_is_named(tmp_path: Path) -> None:
    """It is found by its pixels and its label: the other file may be right."""
    grey, labels = np.array([250, 250, 5], np.uint8), np.array([1, 0, 0])
    write_normalize(tmp_path / "normalize", grey, labels)
    with SplitWriter(tmp_path / "ingest" / "train", (4, 4, 1)) as split:
        split.add(np.broadcast_to(grey[:, None, None, None], (3, 4, 4, 1)), labels)
    write_json(tmp_path / "ingest" / "files.json", {"train": ["bright/a.png", "dark/a.png", "dark/b.png"]})
    files = NormalizedFiles(tmp_path / "ingest", tmp_path / "normalize")
    for part in ("train", "validation"):
        assert [image.file for image in files.of(part, np.array([1, 2, 0]))] == [
            "dark/a.png",
            "dark/b.png",
            "bright/a.png",
        ]


def test_the_same_inputs_give_the_same_bytes_in_another_process(
    inputs: tuple[Path, Path], evaluated: Path, tmp_path: Path
) -> None:
    """A second evaluation, in a fresh process, writes every file alike."""
    script = (
        "import sys; from pathlib import Path; from components.evaluate.stage import evaluate\n"
        "from components.settings.sections import Evaluate\n"
        "evaluate(*map(Path, sys.argv[1:4]), Evaluate(mistakes=5))"
    )
    subprocess.run([sys.executable, "-c", script, *map(str, (*inputs, tmp_path))], check=True)

    assert contents(tmp_path) == contents(evaluated)
    assert set(contents(tmp_path)) == {
        *("corruptions.json", "metrics.json", "predictions.npy", "problems.csv", "suspects.json"),
    }


def test_a_model_that_predicts_nan_is_rejected(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """NaN is not a wrong prediction: the evaluation stops instead of measuring an accuracy."""
    write_training(tmp_path / "train", brightness_model(float("nan")))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelRejected, match=r"NaN or infinity for 1,061 of 1,061 test images \(the first: image 0\)"):
        evaluate(inputs[0], tmp_path / "train", tmp_path / "out", Evaluate())
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_an_evaluation_without_mistakes(tmp_path: Path) -> None:
    """A model that is always right has an accuracy of 1 and an interval up to 100 %."""
    write_normalize(tmp_path / "normalize", np.full(3, 255, np.uint8), np.ones(3, np.int64))
    write_training(tmp_path / "train", brightness_model(4.0), epochs=1)
    (tmp_path / "out").mkdir()
    facts = evaluate(tmp_path / "normalize", tmp_path / "train", tmp_path / "out", Evaluate())
    assert (facts["accuracy"], metrics_of(tmp_path / "out")["mistakes"]) == (1.0, [])
    assert facts["headline"] == "accuracy 100.00 % (43.85 to 100.00), baseline 100.00 %"


def test_neither_the_figures_nor_the_check_are_in_the_key() -> None:
    """A new colour, or a new bound, predicts the test split not again."""
    modules = code_hashes(None).reached(["components.evaluate.stage"])
    assert not [name for name in modules if "figures" in name or "plotting" in name or "check" in name]
    assert "components.evaluate.corruptions" in modules
