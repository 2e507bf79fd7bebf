import math
import re
from pathlib import Path
from typing import Any

import pytest

from components.artifact_files import Metrics
from components.evaluate.diagnosis import Case, diagnose, read, warnings
from components.evaluate.stage import measure
from components.findings import Finding
from components.settings.sections import Evaluate, Gate, Train
from components.train.resolve import resolved
from pipeline import config
from tests.support.digits_dataset import SOUND, write_digits
from tests.support.small_training import run

SETTINGS: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 0.004,
    "schedule": "onecycle",
    "augment": "",
}
LOW_BAR = Gate(min_accuracy=0.95)  # what a dense network reaches on the digits in six epochs

# problem -> what is done to the data, the settings that cause it, the first setting that the advice names
PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "over-fitting": (
        {"most": 60},
        {"epochs": 60, "batch_size": 8, "dropout": 0.0, "patience": 60},
        "train.augment=rotate,shift,zoom",
    ),
    "under-fitting": (
        {},
        {"epochs": 12, "batch_size": 32, "dropout": 0.95, "learning_rate": 0.001},
        "train.dropout=0.2",
    ),
    "slow convergence": ({}, {"epochs": 2, "batch_size": 256, "learning_rate": 0.001}, "train.epochs=19"),
    "divergence": ({}, {"epochs": 10, "learning_rate": 1.0}, "train.learning_rate=0.004"),
    "dead network": ({}, {"epochs": 10, "learning_rate": 1e-7}, "train.learning_rate=0.004"),
}


def findings(folder: Path, data: dict[str, Any], settings: dict[str, Any]) -> list[Finding]:
    """The warnings about a training on the digits."""
    normalize = write_digits(folder / "normalize", **data)
    run(normalize, folder, **SOUND | settings)
    return judged(normalize, folder / "out", SOUND | settings)


def measured(normalize: Path, train: Path) -> Metrics:
    return measure(normalize, train, Evaluate(corruption_images=0)).metrics


def judged(normalize: Path, train: Path, settings: dict[str, Any]) -> list[Finding]:
    training = resolved(Train(**settings), normalize)
    return warnings(read(train, measured(normalize, train), training, LOW_BAR))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_each_problem_is_diagnosed_and_its_advice_helps(problem: str, tmp_path: Path) -> None:
    """That problem and no other: a warning, as only the bounds refuse a model. A run that follows it is better."""
    data, settings, first = PROBLEMS[problem]
    normalize = write_digits(tmp_path / "normalize", **data)
    run(normalize, tmp_path / "before", **SOUND | settings)
    (finding,) = judged(normalize, tmp_path / "before" / "out", SOUND | settings)
    assert finding.severity == "warning"
    assert finding.text.startswith(f"{problem}: ")
    assert f"--set {first}" in finding.text
    run(normalize, tmp_path / "after", **SOUND | settings | advised(finding.text))
    before, after = (measured(normalize, tmp_path / name / "out")["accuracy"] for name in ("before", "after"))
    assert after > before


def advised(text: str) -> dict[str, Any]:
    """The settings that the sentence *text* names, as arguments of Train."""
    words = re.findall(r"train\.(\w+)=([\w.,-]*\w)", text)
    return {name: config.parse(f"train.{name}", value) for name, value in words}


def test_a_sound_training_has_no_problem(sound: Path) -> None:
    """The same network on the same images with sound settings and labels: no diagnosis."""
    assert judged(sound / "normalize", sound / "out", SOUND) == []


def test_wrong_labels_are_diagnosed_in_all_images_and_in_the_training_images_alone(tmp_path: Path) -> None:
    """A fifth is wrong: mistakes are as confident as right predictions, or test accuracy exceeds training accuracy."""
    (finding,) = findings(tmp_path, {"noise": 0.2}, {})
    assert finding.text.startswith("label noise: ")
    assert "train.label_smoothing=0.1" in finding.text
    clean_test = write_digits(tmp_path / "clean", noise=0.2, test_noise=0.0)
    (finding,) = judged(clean_test, tmp_path / "out", SOUND)
    assert finding.text.startswith("label noise: ")


# --- the rules, without a training

CLASS = {"name": "a", "support": 5_000, "recall": 0.99}


def case(
    gate: Gate | None = None, training: Train | None = None, losses: tuple[float, ...] = (0.2, 0.1), **changes: Any
) -> Case:
    """A sound training: 9,900 of 10,000 right, two classes; *losses* are the validation losses by epoch."""
    metrics: Any = {
        "n": 10_000, "correct": 9_900, "accuracy": 0.99, "wilson_low": 0.988, "wilson_high": 0.992, "loss": 0.03,
        "gap": 0.005, "train_accuracy": 0.995, "per_class": [CLASS, CLASS],
        "confidence": {"separation": 0.97, "right": 0.99, "wrong": 0.6}, "suspects": {},
        "training": {"stopped_early": False, "steps": 1_000},
    } | changes  # fmt: skip
    rows = [
        {"epoch": e, "loss": v, "accuracy": 0.9, "val_loss": v, "val_accuracy": 0.9} for e, v in enumerate(losses, 1)
    ]
    return Case(rows, metrics, training or Train(**SETTINGS), gate or Gate(min_accuracy=0.98))


def names(of: Case) -> list[str]:
    return [d.name for d in diagnose(of) if d.present]


def test_what_chance_explains_is_no_problem() -> None:
    """A gap of eight points on 25 test images is none; on 10,000 it is. Nine mistakes say nothing about labels."""
    small: dict[str, Any] = {
        "n": 25,
        "correct": 23,
        "accuracy": 0.92,
        "wilson_low": 0.75,
        "wilson_high": 0.978,
        "gap": 0.05,
    }
    small["per_class"] = [CLASS | {"support": 13}, CLASS | {"support": 12}]
    assert names(case(Gate(min_accuracy=0.9), **small, train_accuracy=0.97)) == []
    assert names(case(gap=0.05, train_accuracy=1.0, accuracy=0.95, gate=Gate(min_accuracy=0.9))) == ["over-fitting"]
    sure = {"separation": 0.5, "right": 0.99, "wrong": 0.99}
    assert names(case(confidence=sure, correct=9_991)) == []
    assert names(case(confidence=sure)) == ["label noise"]


def test_an_oddity_in_a_training_that_ended_well_is_no_problem() -> None:
    """Neither a bad start that was overcome, nor a loss that still falls where the gate is passed."""
    assert names(case(losses=(30.0, 0.2, 0.1))) == []
    assert names(case(losses=(30.0, 0.2, 0.1), accuracy=0.9)) == ["divergence"]
    assert names(case(losses=(0.9, 0.2, 0.1), accuracy=0.9)) == ["slow convergence"]
    tiny_steps = Train(**SETTINGS | {"learning_rate": 1e-5})
    assert names(case(losses=(0.9, 0.2, 0.1), accuracy=0.9, training=tiny_steps)) == ["slow convergence"]
    no_better: dict[str, Any] = {"n": 100, "correct": 52, "accuracy": 0.52}
    no_better |= {"wilson_low": 0.42, "wilson_high": 0.62, "train_accuracy": 0.6, "per_class": [CLASS, CLASS]}
    assert "slow convergence" in names(case(Gate(), losses=(0.9, 0.2, 0.1), **no_better))  # the baseline is a gate, too


def test_a_problem_hides_those_that_it_explains() -> None:
    """A network that learnt nothing is not called under-fitted as well."""
    nothing: dict[str, Any] = {
        "accuracy": 0.5,
        "wilson_low": 0.49,
        "wilson_high": 0.51,
        "loss": math.log(2),
        "train_accuracy": 0.5,
    }
    assert names(case(losses=(0.7, 0.69), **nothing, gap=0.0)) == ["dead network"]


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"learning_rate": 0.1}, "train.learning_rate=0.004"),
        ({"l2": 0.1, "dropout": 0.4}, "train.dropout=0.2 train.l2=0"),
        ({"l2": 0.1, "dropout": 0.1}, "train.dropout=0.1 train.l2=0"),
        ({}, "train.width=2"),
    ],
)
def test_the_advice_against_under_fitting_depends_on_the_settings(settings: dict[str, Any], advice: str) -> None:
    """Steps too large, too much regularisation, or a network too small: in this order; never more dropout."""
    few_right = {"accuracy": 0.9, "wilson_low": 0.89, "wilson_high": 0.91, "train_accuracy": 0.9}
    weak = case(Gate(min_accuracy=0.98), Train(**SETTINGS | settings), (0.3, 0.3), **few_right)
    (found,) = (d for d in diagnose(weak) if d.present)
    assert found.name == "under-fitting"
    assert advice in found.advice


@pytest.mark.parametrize(
    ("batch", "advice"), [(16, "epochs=60"), (32, "epochs=45"), (256, "epochs=6 train.batch_size=32")]
)
def test_too_few_steps_become_as_many_as_the_defaults_take(batch: int, advice: str) -> None:
    """After forty steps: 1,200 steps of fewer than 32 images, 900 of 32, to which larger batches are reduced."""
    few: dict[str, Any] = {"accuracy": 0.6, "wilson_low": 0.59, "wilson_high": 0.61, "train_accuracy": 0.6}
    short = case(training=Train(**SETTINGS | {"batch_size": batch}), losses=(0.6, 0.4), **few)
    short.metrics["training"]["steps"] = 40
    (found,) = (d for d in diagnose(short) if d.present)
    assert found.name == "slow convergence"
    assert found.advice == f"take more steps with --set train.{advice}"


def test_a_rare_class_that_is_never_right_is_an_imbalance_not_a_dead_network() -> None:
    """Class weights are advised once; where they are set already, images are."""
    rare: dict[str, Any] = {
        "n": 1_010, "correct": 1_000, "accuracy": 0.99, "wilson_low": 0.98, "wilson_high": 0.995,
        "per_class": [CLASS | {"support": 1_000}, CLASS | {"name": "b", "support": 10, "recall": 0.0}],
        "loss": 0.06, "train_accuracy": 0.99,
    }  # fmt: skip
    for weights, advice in (("none", "train.class_weights=balanced"), ("balanced", "add images of it")):
        training = Train(**SETTINGS | {"class_weights": weights})
        (found,) = (d for d in diagnose(case(training=training, losses=(0.06, 0.06), **rare)) if d.present)
        assert found.name == "class imbalance"
        assert advice in found.advice
