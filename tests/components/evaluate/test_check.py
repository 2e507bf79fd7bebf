"""The check of an evaluation: bounds refuse a model, problems of the training are warnings."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from components.evaluate.check import check, check_bounds
from components.findings import Finding, errors, notes, warnings
from components.settings.derived import TrainingImages, training
from components.settings.sections import Evaluate, Gate, Params, Train
from tests.support.brightness_model import COLUMNS, write_json


def row(name: str, **changes: Any) -> dict[str, Any]:
    """The scores of a class in metrics.json."""
    return {"name": name, "support": 5_000, "recall": 0.98, "wilson_low": 0.976, "wilson_high": 0.984} | changes


GATE = Gate(min_accuracy=0.98)


def judged(folder: Path, gate: Gate, **changes: Any) -> tuple[list[str], list[str]]:
    """Errors and warnings for an evaluation with 9,800 of 10,000 right, apart from *changes*."""
    findings = findings_of(folder, gate, **changes)
    return errors(findings), warnings(findings)


def findings_of(folder: Path, gate: Gate, models: int = 1, **changes: Any) -> list[Finding]:
    metrics: dict[str, Any] = {"n": 10_000, "correct": 9_800, "wilson_low": 0.977, "wilson_high": 0.9826, "loss": 0.05}
    metrics |= {"slices": {"parts": []}, "suspects": {}, "classes": ["cat", "dog"], "mistakes": []}
    metrics |= {"confidence": {"separation": 0.95, "right": 0.99, "wrong": 0.6}}
    metrics |= {"training": {"best_epoch": 3, "epochs": 12, "stopped_early": False}, "train_accuracy": 0.985} | changes
    metrics["accuracy"] = metrics["correct"] / metrics["n"]
    if "per_class" not in changes:
        half = metrics["n"] // 2
        metrics["per_class"] = [row("cat", support=half), row("dog", support=metrics["n"] - half)]
    write_json(folder / "metrics.json", metrics | {"gap": metrics["train_accuracy"] - metrics["accuracy"]})
    if not (folder / "suspects.json").exists():
        write_json(folder / "suspects.json", {"splits": {}, "suspects": []})
    with (folder / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, (1, 0.5, 0.9, 0.5, 0.9, 0.001), (2, 0.1, 0.98, 0.1, 0.98, 0.001)])
    return check(folder, folder, training(Train(), TrainingImages(1_000, 1, 1.0)), gate, models)


def test_an_accuracy_at_the_gate_passes_and_one_image_less_does_not(tmp_path: Path) -> None:
    """9,800 of 10,000 is 0.98 and passes; 9,799 is refused, and so is one image too few of any other number."""
    assert judged(tmp_path, GATE) == ([], [])
    assert judged(tmp_path, GATE, correct=9_799)[0]
    for n in (100, 300, 1_797, 59_999, 70_000):
        for gate in (0.7, 0.9, 0.98, 0.993):
            least = -(-n * round(gate * 1000) // 1000)
            assert not judged(tmp_path, Gate(min_accuracy=gate), n=n, correct=least)[0]
            assert judged(tmp_path, Gate(min_accuracy=gate), n=n, correct=least - 1)[0]


def test_the_refusal_names_value_interval_distance_setting_and_next_command(tmp_path: Path) -> None:
    """One sentence: what was measured, what was expected, and what to type."""
    texts, _ = judged(tmp_path, GATE, correct=9_731, wilson_low=0.96974, wilson_high=0.97609)
    assert texts == [
        "accuracy 97.31 % (9,731 of 10,000; 95 % interval 96.97 to 97.61) is 0.69 points below the gate of 98 % "
        "(gate.min_accuracy); train longer with --set train.epochs=4, or look at the mistakes: "
        "python -m pipeline report"
    ]


def test_more_epochs_are_not_advised_after_early_stopping(tmp_path: Path) -> None:
    """They would change nothing; what the diagnosis says may."""
    stopped = {"best_epoch": 5, "epochs": 8, "stopped_early": True}
    (text,), _ = judged(tmp_path, GATE, correct=9_000, training=stopped)
    assert "--set train.dropout=0.3" in text
    assert "train.epochs" not in text


def test_a_narrow_miss_is_not_rounded_to_none(tmp_path: Path) -> None:
    """One image of a million below the gate is neither "98.00 %" nor "0.00 points"."""
    (text,), _ = judged(tmp_path, GATE, n=1_000_000, correct=979_999)
    assert "accuracy 97.9999 %" in text
    assert "is 0.0001 points below the gate of 98 %" in text


def always_first(*supports: int) -> dict[str, Any]:
    """The metrics of a model that always answers the first class."""
    rows = [row(name, support=n, recall=float(name == "cat")) for name, n in zip(("cat", "dog"), supports, strict=True)]
    return {"n": sum(supports), "correct": supports[0], "per_class": rows}


def test_a_model_that_always_gives_one_answer_is_refused_whatever_accuracy_is_required(tmp_path: Path) -> None:
    """178 of 180 is 98.89 %, above a gate of 98 %, and no better than "always cat": refused with the number needed."""
    for gate in (Gate(), GATE, Gate(min_accuracy=0.5)):
        (text,), _ = judged(tmp_path, gate, **always_first(178, 2))
        assert text == (
            "accuracy 98.89 % (178 of 180) is not better than always answering 'cat' (98.89 %) by more than chance: "
            "one-sided exact p 0.68, expected at most 0.05; on so few test images not even a model without a mistake "
            "is: it takes at least 269 with these class shares. Add images, of the rarer classes first"
        )


def test_a_class_that_is_never_recognized_refuses_a_model_from_five_test_images_on(tmp_path: Path) -> None:
    """Fewer may be missed by chance; more than three such classes are counted."""
    rows = [row("cat", support=9_000), row("dog", support=990), row("yak", support=5, recall=0.0)]
    rows.append(row("emu", support=4, recall=0.0))
    (text,), _ = judged(tmp_path, Gate(), per_class=rows)
    assert text.startswith("none of the 5 test images of class 'yak' is recognized")
    assert "--set train.class_weights=balanced" in text
    many = [row("cat", support=9_000)] + [row(f"c{k}", support=200, recall=0.0) for k in range(5)]
    texts, _ = judged(tmp_path, Gate(), per_class=many)
    assert len(texts) == 3
    assert texts[-1].endswith("(2 more classes are never recognized)")


def test_a_test_split_too_small_for_any_model_says_how_many_images_it_takes(tmp_path: Path) -> None:
    """Two classes of two: all four right is one in sixteen by chance; five of five is one in thirty-two."""
    halves = {"per_class": [row("cat", support=2), row("dog", support=2)]}
    (text,), _ = judged(tmp_path, Gate(), n=4, correct=4, **halves)
    assert "not even a model without a mistake is: it takes at least 5" in text
    assert judged(tmp_path, Gate(), n=6, correct=6)[0] == []


def test_where_no_accuracy_is_required_the_run_names_the_setting_that_requires_what_was_reached(
    tmp_path: Path,
) -> None:
    """Followed, the same model passes; with a bound there is nothing to say."""
    (text,) = notes(findings_of(tmp_path, Gate()))
    assert (
        text == "no accuracy is required beyond the baseline; to require what was reached: --set gate.min_accuracy=0.97"
    )
    followed = findings_of(tmp_path, Gate(min_accuracy=float(text.rpartition("=")[2])))
    assert followed == []


def test_a_test_split_that_judges_many_models_says_what_its_interval_is_worth(tmp_path: Path) -> None:
    """One model: nothing; a few: a note with the wider interval; more than fifty: a warning."""
    assert findings_of(tmp_path, GATE) == []
    (text,) = notes(findings_of(tmp_path, GATE, models=37))
    assert text == (
        "the test split has judged 37 models; the 95 % interval of the accuracy that holds for 50 is 97.48 to 98.41 %"
    )
    assert not notes(findings_of(tmp_path, GATE, models=51))
    _, (text,) = [errors(findings := findings_of(tmp_path, GATE, models=51)), warnings(findings)]
    assert "has judged 51 models" in text
    assert "holds for 100" in text
    assert text.endswith("fresh test images are due: add some that no model was judged by, or replace them all")


def test_suspected_labels_of_training_images_are_named_apart_from_those_of_held_out_ones(tmp_path: Path) -> None:
    """The first five of each side, with the label, the suggested one, and its share of the votes or its probability."""
    counts = {"test": {"n": 9, "suspects": 1}, "validation": {"n": 9, "suspects": 1}, "train": {"n": 99, "suspects": 7}}
    suspect = {"index": 0, "truth": 0, "predicted": 1, "probability": 0.8, "given": 0.1, "margin": -0.7}
    held_out = [suspect | {"split": split, "file": f"{split}.png"} for split in ("test", "validation")]
    training = [suspect | {"split": "train", "file": f"{k}.png"} for k in range(7)]
    content = {"splits": counts, "suspects": held_out, "training_suspects": training}
    write_json(tmp_path / "suspects.json", content)
    notes = [finding.text for finding in findings_of(tmp_path, Gate()) if "suspected" in finding.text]
    named = ", ".join(f"{k}.png ('cat' -> 'dog', 80 %)" for k in range(5))
    assert notes == [
        "2 labels are suspected to be wrong: test.png ('cat' -> 'dog', 80 %), validation.png ('cat' -> 'dog', 80 %)",
        f"7 labels of training images are suspected to be wrong: {named} and 2 more",
    ]


def test_the_first_files_among_mistakes_and_suspects_are_named(tmp_path: Path) -> None:
    """Five of them, with label, prediction and its probability; a source without files gets no such note."""

    def notes(*names: str) -> list[str]:
        files = [{"file": name} if name else {} for name in names]
        mistakes = [{"index": 0, "truth": 0, "predicted": 1, "probability": 0.991} | file for file in files]
        found = findings_of(tmp_path, Gate(), n=1000, correct=993, mistakes=mistakes)
        return [finding.text for finding in found if "misclassified" in finding.text]

    assert notes("", "") == []
    assert notes(*(f"a/{i}.png" for i in range(6))) == [
        "7 of 1,000 test images are misclassified: " + ", ".join(f"a/{i}.png ('cat' -> 'dog', 99 %)" for i in range(5))
        + " and 2 more"
    ]  # fmt: skip


def test_over_fitting_above_the_bound_is_a_warning(tmp_path: Path) -> None:
    """1.0 against 0.97 is a gap of 0.03 and silent (in floats 0.030000000000000027); a larger one warns and passes."""
    assert judged(tmp_path, Gate(min_accuracy=0.9), correct=9_700, train_accuracy=1.0) == ([], [])
    refused, (text,) = judged(tmp_path, Gate(min_accuracy=0.9), correct=9_699, train_accuracy=1.0)
    assert not refused
    assert "3.01 points above" in text
    assert "gate.max_overfit" in text


def test_the_check_loads_neither_numpy_nor_anything_heavier() -> None:
    """It runs even where everything is reused, so importing it must cost next to nothing."""
    names = "('numpy', 'tensorflow', 'matplotlib')"
    script = f"import sys, components.evaluate.check; print([m for m in sys.modules if m in {names}])"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_a_class_below_its_bound_is_refused_by_name_with_interval_and_count(tmp_path: Path) -> None:
    """The worst three are listed, the others counted; a class without a test image is a warning."""
    rows = [row("cat", recall=0.5 + k / 100, wilson_low=0.4, wilson_high=0.7, support=12) for k in range(5)]
    refused, warned = judged(tmp_path, Gate(min_class_recall=0.9), per_class=[*rows, row("yak", support=0)])
    assert len(refused) == 3
    assert refused[0].startswith(
        "recall of class 'cat' is 50.00 % (40.00 to 70.00) of its 12 test images, below the bound of 90 % "
        "(gate.min_class_recall)"
    )
    assert "python -m pipeline report" in refused[0]
    assert "2 more classes are below the bound" in refused[2]
    assert warned == ["class 'yak' has no test image: gate.min_class_recall cannot be checked"]
    assert judged(tmp_path, GATE, per_class=rows) == ([], [])
    assert judged(tmp_path, Gate(min_class_recall=0.9), per_class=[row("cat", recall=0.9)])[0] == []


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


def test_the_error_on_corrupted_images_is_bounded_and_must_have_been_measured(tmp_path: Path) -> None:
    """Above the bound is refused with both figures; without a measurement the error says how to measure."""
    assert judged(tmp_path, Gate(max_corruption_error=0.3), corruption_error=0.3) == ([], [])
    (text,), _ = judged(tmp_path, Gate(max_corruption_error=0.3), corruption_error=0.3125)
    assert "mean error on corrupted images is 31.25 %, above the bound of 30 % (gate.max_corruption_error)" in text
    (text,), _ = judged(tmp_path, Gate(max_corruption_error=0.3))
    assert "--set evaluate.corruption_images=1000" in text
    with pytest.raises(ConfigError, match=r"gate.max_corruption_error is 0.3 and evaluate.corruption_images is 0"):
        Params(evaluate=Evaluate(corruption_images=0), gate=Gate(max_corruption_error=0.3))


def test_a_single_model_is_judged_by_images_that_are_new_to_it(tmp_path: Path) -> None:
    """So nothing is said of their wear unless the number of models is given: two are worth a note."""
    findings_of(tmp_path, GATE)  # writes the evaluation
    assert check(tmp_path, tmp_path, training(Train(), TrainingImages(1_000, 1, 1.0)), GATE) == []
    (text,) = notes(findings_of(tmp_path, GATE, models=2))
    assert text.startswith("the test split has judged 2 models; ")


def test_a_single_mistake_is_named(tmp_path: Path) -> None:
    """Without "and 0 more"."""
    mistakes = [{"index": 0, "truth": 0, "predicted": 1, "probability": 0.9, "file": "a.png"}]
    (text,) = notes(findings_of(tmp_path, GATE, n=1_000, correct=999, mistakes=mistakes))
    assert text == "1 of 1,000 test images are misclassified: a.png ('cat' -> 'dog', 90 %)"


@pytest.mark.parametrize(("supports", "correct"), [((1, 1, 1), 2), ((5_000, 5_000), 5_020)])
def test_more_test_images_are_advised_only_where_a_perfect_model_would_not_pass(
    tmp_path: Path, supports: tuple[int, ...], correct: int
) -> None:
    """Three images of three classes are just enough, and 10,000 are plenty: the model is at fault."""
    rows = [row(f"c{k}", support=n, recall=0.5) for k, n in enumerate(supports)]
    (text,), _ = judged(tmp_path, Gate(), n=sum(supports), correct=correct, per_class=rows)
    assert "is not better than always answering 'c0'" in text
    assert text.endswith("see the diagnosis of the training, or look at the mistakes: python -m pipeline report")


def test_of_classes_that_are_never_recognized_the_largest_come_first(tmp_path: Path) -> None:
    """They hurt most; of three none is left out, so none is counted."""
    sizes = {"fox": 20, "elk": 300, "bee": 7}
    never = [row(name, support=n, recall=0.0) for name, n in sizes.items()]
    texts, _ = judged(tmp_path, Gate(), per_class=[row("cat", support=9_673), *never])
    assert [text.partition("class ")[2].split("'")[1] for text in texts] == ["elk", "fox", "bee"]
    assert "more classes" not in texts[-1]


def test_without_a_diagnosis_a_model_below_the_gate_gets_general_advice() -> None:
    """Twice the epochs, or, where they had stopped helping, more varied images."""
    metrics: Any = {"n": 10_000, "correct": 9_000, "wilson_low": 0.894, "wilson_high": 0.906}
    metrics |= {"per_class": [row("cat"), row("dog")], "slices": {"parts": []}}

    def advice(stopped_early: bool) -> str:
        trained = {"training": {"epochs": 7, "stopped_early": stopped_early}}
        (finding,) = check_bounds(metrics | trained, GATE)
        return finding.text.partition("(gate.min_accuracy); ")[2]

    assert advice(stopped_early=False).startswith("train longer with --set train.epochs=14, or look at")
    assert advice(stopped_early=True).startswith("training had stopped improving, so give it varied images with --set")


def test_a_percentage_has_the_decimals_in_which_one_image_counts(tmp_path: Path) -> None:
    """One of 100,001 is less than a thousandth of a percent."""
    (text,), _ = judged(tmp_path, GATE, n=100_001, correct=97_999)
    assert text.startswith("accuracy 97.9980 % (97,999 of 100,001; ")


def test_what_is_better_than_its_bound_passes(tmp_path: Path) -> None:
    """A slice above, an error below; brightness has no unit in the name of a slice."""
    bright = {"property": "brightness", "unit": "0 to 255", "part": "brightest", "low": 200.0, "high": None, "n": 90}
    slices = {"parts": [bright | {"correct": 81, "accuracy": 0.9, "wilson_low": 0.82, "wilson_high": 0.946}]}
    assert judged(tmp_path, Gate(min_slice_accuracy=0.8), slices=slices) == ([], [])
    assert judged(tmp_path, Gate(max_corruption_error=0.3), corruption_error=0.2) == ([], [])
    (text,), _ = judged(tmp_path, Gate(min_slice_accuracy=0.95), slices=slices)
    assert text.startswith("accuracy on the slice 'brightest' of brightness (above 200) is 90.00 %")
