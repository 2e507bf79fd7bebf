"""Trouble-shooting: what a training's history and its evaluation say went wrong, and which setting to change.

Six troubles are looked for, each by a rule that small test splits do not trip: a difference counts only where it is
larger than chance. What is judged was measured by train and evaluate, so reused artifacts are judged as fresh ones are.
Reads CSV and JSON, loads no NumPy. A loss that is no longer a number ends the training itself
(components.train.callbacks).
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluate.check import points
from components.findings import Finding
from components.settings.sections import Gate, Train

LEAST_MISTAKES = 10  # fewer say nothing about how the model errs
UNSURE_ABOUT_MISTAKES = 0.75  # a sound model tells its mistakes by low confidence at least this well (area, 0.5 to 1)
TOO_FAST = 0.02  # learning rate above which large steps are suspected first
STILL_FALLING = 0.1  # share of the validation loss that the last epoch took off


@dataclass(frozen=True)
class Diagnosis:
    """One trouble that was looked for: whether it is there, the figures that say so, and what to change then."""

    name: str
    found: bool
    evidence: str
    advice: str


@dataclass(frozen=True)
class Case:
    """What is judged: an epoch a row, what evaluate measured, the settings of the training, the bounds."""

    rows: Sequence[Mapping[str, float]]
    metrics: Mapping[str, Any]
    training: Train
    gate: Gate

    @property
    def chance(self) -> float:
        """Accuracy of always saying the most frequent class."""
        return float(max(row["support"] for row in self.metrics["per_class"]) / self.metrics["n"])

    @property
    def ignorance(self) -> float:
        """The loss of a model that knows nothing but how frequent each class is, in nats: ln K where all are equal."""
        shares: list[float] = [
            row["support"] / self.metrics["n"] for row in self.metrics["per_class"] if row["support"]
        ]
        return -sum(share * math.log(share) for share in shares)

    @property
    def wanting(self) -> bool:
        """Whether the model is not good enough: an oddity of a training that ended well is no trouble."""
        return bool(self.metrics["accuracy"] < self.gate.min_accuracy)


def read(train: Path, metrics: Mapping[str, Any], training: Train, gate: Gate) -> list[Diagnosis]:
    """Judge the training in the folder *train* by its history and by *metrics*, the content of metrics.json."""
    with (train / "history.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return diagnose(Case(rows, metrics, training, gate)) if rows else []


def warn(diagnoses: Sequence[Diagnosis]) -> list[Finding]:
    return [Finding("warning", f"{d.name}: {d.evidence}; {d.advice}") for d in diagnoses if d.found]


def diagnose(case: Case) -> list[Diagnosis]:
    """All six, found or not. A trouble that explains another comes first, and keeps the other from being told."""
    diverged, dead = _divergence(case), _dead(case)
    noise, slow = _label_noise(case), _slow(case)
    told: list[Diagnosis] = []
    for diagnosis, hidden_by in (
        (diverged, ()),
        (dead, (diverged,)),
        (noise, (diverged, dead)),
        (slow, (diverged, dead)),
        (_under_fitting(case), (diverged, dead, noise, slow)),
        (_over_fitting(case), (diverged, dead)),
    ):
        hidden = any(other.found for other in hidden_by)
        told.append(Diagnosis(diagnosis.name, diagnosis.found and not hidden, diagnosis.evidence, diagnosis.advice))
    return told


def _divergence(case: Case) -> Diagnosis:
    """The training loss was far above that of knowing nothing, which no useful step can have led to."""
    worst, training = max(case.rows, key=lambda row: row["loss"]), case.training
    guessing = math.log(len(case.metrics["per_class"]))  # the loss of equal probabilities
    comparable = not (training.l2 or training.teacher)  # else the loss has other parts too
    evidence = (
        f"the highest training loss is {worst['loss']:.3g}, in epoch {worst['epoch']:.0f}; equal probabilities "
        f"for all classes have {guessing:.2f}{'' if comparable else ' (without the penalty or the teacher in it)'}"
    )
    harmed = case.wanting or case.rows[-1]["loss"] > guessing  # not where it was a start that it got over
    found = comparable and harmed and worst["loss"] > 2 * guessing
    return Diagnosis("divergence", found, evidence, f"take smaller steps with {_slower(training)}")


def _dead(case: Case) -> Diagnosis:
    """Hardly better than always saying the most frequent class, and a loss that says as much."""
    metrics, training = case.metrics, case.training
    evidence = (
        f"accuracy {_percent(metrics['accuracy'])}, where always saying the most frequent class gives "
        f"{_percent(case.chance)}; loss {metrics['loss']:.3g}, where knowing nothing gives {case.ignorance:.3g}"
    )
    hardly = case.chance + 0.1 * (1 - case.chance)
    found = metrics["wilson_low"] <= hardly and metrics["loss"] >= 0.9 * case.ignorance
    if training.learning_rate < 1e-4:
        rate = _round(100 * training.learning_rate)
        advice = f"the steps may be too small to change anything: --set train.learning_rate={rate}"
    elif training.l2 >= 0.01:
        advice = f"the penalty on the weights may hold them at 0: --set train.l2={_round(training.l2 / 100)}"
    else:
        advice = f"steps that are too large switch units off for good: {_slower(training)}"
    return Diagnosis("dead network", found, evidence, advice + ", and see that the images fit their labels")


def _label_noise(case: Case) -> Diagnosis:
    """Mistakes as confident as right answers, or training images learnt worse than test images."""
    metrics, confidence = case.metrics, case.metrics["confidence"]
    wrong, area = metrics["n"] - metrics["correct"], confidence["separation"]
    told = (
        f"the model is {_percent(confidence['wrong'])} sure of its mistakes and {_percent(confidence['right'])} of "
        f"what it gets right (medians; its confidence tells them apart by {area:.2f}, 0.5 being not at all)"
        if area is not None
        else "the model's answers are all right or all wrong"
    )
    of_test = (
        area is not None
        and wrong >= LEAST_MISTAKES
        and area + 2 * _area_error(area, metrics["correct"], wrong) < UNSURE_ABOUT_MISTAKES
        and confidence["wrong"] >= 0.8 * confidence["right"]
    )
    of_training = metrics["wilson_low"] - metrics["train_accuracy"] > case.gate.max_overfit
    doubted = ", ".join(f"{s['suspects']:,} of {s['n']:,} {name}" for name, s in metrics["suspects"].items())
    evidence = (
        f"{told}; accuracy is {_percent(metrics['train_accuracy'])} on the training images and "
        f"{_percent(metrics['accuracy'])} on the test images; suspected labels: {doubted} images"
    )
    advice = (
        "mend the labels (suspects in python -m pipeline report), or believe them less with "
        "--set train.label_smoothing=0.1"
    )
    return Diagnosis("label noise", of_test or of_training, evidence, advice)


def _slow(case: Case) -> Diagnosis:
    """The last epoch was the best one and still much better than those before: training was cut short."""
    rows, epochs, training = case.rows, len(case.rows), case.training
    faster = training.learning_rate < 3e-4
    setting = f"learning_rate={_round(10 * training.learning_rate)}" if faster else f"epochs={2 * training.epochs}"
    advice = f"{'take larger steps' if faster else 'train longer'} with --set train.{setting}"
    if epochs < 2:
        return Diagnosis("slow convergence", False, "one epoch tells nothing about the pace", advice)
    best, last = min(rows[:-1], key=lambda row: row["val_loss"]), rows[-1]
    fell = 1 - last["val_loss"] / best["val_loss"] if best["val_loss"] > 0 else 0.0
    evidence = (
        f"the last of {epochs} epochs took the validation loss from {best['val_loss']:.3g} to {last['val_loss']:.3g} "
        f"({-100 * fell:+.0f} %), accuracy from {_percent(best['val_accuracy'])} to {_percent(last['val_accuracy'])}"
    )
    steady = fell > (0.01 if faster else STILL_FALLING) and not case.metrics["training"]["stopped_early"]
    return Diagnosis("slow convergence", case.wanting and steady, evidence, advice)


def _under_fitting(case: Case) -> Diagnosis:
    """The model gets fewer of its own training images right than are wanted of new ones."""
    train, wanted = case.metrics["train_accuracy"], case.gate.min_accuracy
    evidence = (
        f"accuracy on the training images themselves is {_percent(train)}, and {100 * wanted:.6g} % is wanted of new "
        "ones (gate.min_accuracy)"
    )
    training = case.training
    if training.learning_rate > TOO_FAST:
        advice = f"take smaller steps: {_slower(training)}"
    elif training.dropout > 0.5 or training.l2 > 0 or training.label_smoothing > 0.2:
        advice = "regularise less: --set train.dropout=0.2 train.l2=0 train.label_smoothing=0"
    else:
        advice = (
            f"give the network more to learn with: --set train.width={2 * training.width:g}, or another train.model"
        )
    return Diagnosis("under-fitting", train < wanted, evidence, advice)


def _over_fitting(case: Case) -> Diagnosis:
    """Training images are known better than test images, by more than the bound and by more than chance."""
    metrics, most = case.metrics, case.gate.max_overfit
    gap = round(metrics["gap"], 9)  # 1.0 - 0.97 is 0.030000000000000027, and that is not above 0.03
    evidence = (
        f"accuracy on the training images is {points(abs(gap))} {'above' if gap >= 0 else 'below'} that on the test "
        f"images ({_percent(metrics['train_accuracy'])} and {_percent(metrics['accuracy'])}; at most {100 * most:.6g} "
        "expected, gate.max_overfit)"
    )
    rows = case.rows
    best, last = min(row["val_loss"] for row in rows), rows[-1]["val_loss"]
    if last > 1.1 * best > 0:
        evidence += f"; the validation loss rose from {best:.3g} to {last:.3g} after its best epoch"
    found = gap > most and metrics["train_accuracy"] > metrics["wilson_high"]
    dropout = min(0.8, case.training.dropout + 0.2)
    advice = f"vary the images with --set train.augment=shift,rotate, or raise --set train.dropout={dropout:g}"
    return Diagnosis("over-fitting", found, evidence, advice)


def _area_error(area: float, right: int, wrong: int) -> float:
    """Standard error of an area under the ROC curve. Hanley & McNeil, Radiology 143 (1982) 29-36."""
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (right - 1) * (q1 - area**2) + (wrong - 1) * (q2 - area**2)
    return math.sqrt(max(spread, 0.0) / (right * wrong))


def _slower(training: Train) -> str:
    return f"--set train.learning_rate={_round(training.learning_rate / 10)}"


def _round(value: float) -> str:
    return f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
