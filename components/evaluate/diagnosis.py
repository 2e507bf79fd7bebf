"""Diagnosis of a training: what its history and its evaluation show to be wrong, and which setting to change.

Six problems are looked for, each by a rule that small test splits do not trigger: a difference counts only where it
exceeds chance. Everything was measured by train and evaluate, so reused artifacts are judged like new ones. Standard
library only. A NaN loss ends the training itself (components.train.callbacks).
"""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.artifact_files import Metrics
from components.evaluate import baseline
from components.findings import Finding
from components.formatting import bound, percent, percentage_points
from components.settings.sections import Gate, Train

MIN_MISTAKES = 10  # fewer say nothing about how the model errs
UNSURE_ABOUT_MISTAKES = 0.75  # ROC area (0.5 to 1) at which a sound model separates its mistakes by low confidence
TOO_FAST = 0.02  # learning rate above which large steps are suspected first
STILL_FALLING = 0.1  # relative decrease of the validation loss in the last epoch


@dataclass(frozen=True)
class Diagnosis:
    """One problem that was looked for: whether it is there, the figures that show it, and what to change."""

    name: str
    present: bool
    evidence: str
    advice: str


@dataclass(frozen=True)
class Case:
    """What is diagnosed: the history by epoch, the metrics of the evaluation, the settings of training and gate."""

    rows: Sequence[Mapping[str, float]]
    metrics: Metrics
    training: Train
    gate: Gate

    @property
    def chance(self) -> float:
        """Accuracy of always predicting the most frequent class."""
        return max(row["support"] for row in self.metrics["per_class"]) / self.metrics["n"]

    @property
    def ignorance(self) -> float:
        """The loss of a model that knows only how frequent each class is, in nats: ln K where all are equal."""
        shares = [row["support"] / self.metrics["n"] for row in self.metrics["per_class"] if row["support"]]
        return -sum(share * math.log(share) for share in shares)

    @property
    def below_gate(self) -> bool:
        """Whether the model is not good enough: an oddity in a training that ended well is no problem."""
        return self.metrics["accuracy"] < self.gate.min_accuracy or not baseline.of(self.metrics).beaten


def read(train: Path, metrics: Metrics, training: Train, gate: Gate) -> list[Diagnosis]:
    """Diagnose the training in the folder *train* from its history and *metrics*; empty without a history."""
    with (train / "history.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return diagnose(Case(rows, metrics, training, gate)) if rows else []


def warnings(diagnoses: Sequence[Diagnosis]) -> list[Finding]:
    return [Finding("warning", f"{d.name}: {d.evidence}; {d.advice}") for d in diagnoses if d.present]


def diagnose(case: Case) -> list[Diagnosis]:
    """All six problems, present or not; one that is explained by another counts as absent."""
    found: dict[Rule, Diagnosis] = {rule: rule(case) for rule in EXPLAINED_BY}
    return [
        replace(diagnosis, present=diagnosis.present and not any(found[cause].present for cause in EXPLAINED_BY[rule]))
        for rule, diagnosis in found.items()
    ]


def _divergence(case: Case) -> Diagnosis:
    """The training loss rose far above that of uniform probabilities."""
    worst, training = max(case.rows, key=lambda row: row["loss"]), case.training
    guessing = math.log(len(case.metrics["per_class"]))  # the loss of equal probabilities
    comparable = not (training.l2 or training.teacher)  # otherwise the loss has other terms too
    evidence = (
        f"the highest training loss is {worst['loss']:.3g}, in epoch {worst['epoch']:.0f}; equal probabilities "
        f"for all classes give {guessing:.2f}{'' if comparable else ' (without the L2 penalty or the teacher)'}"
    )
    harmed = case.below_gate or case.rows[-1]["loss"] > guessing  # a training may recover from a bad start
    diverged = comparable and harmed and worst["loss"] > 2 * guessing
    return Diagnosis("divergence", diverged, evidence, f"take smaller steps with {_lower_rate(training)}")


def _dead(case: Case) -> Diagnosis:
    """Hardly better than always predicting the most frequent class, in accuracy and in loss."""
    metrics, training = case.metrics, case.training
    evidence = (
        f"accuracy {percent(metrics['accuracy'])}, where always predicting the most frequent class gives "
        f"{percent(case.chance)}; loss {metrics['loss']:.3g}, where the class frequencies alone give "
        f"{case.ignorance:.3g}"
    )
    hardly_better = case.chance + 0.1 * (1 - case.chance)
    dead = metrics["wilson_low"] <= hardly_better and metrics["loss"] >= 0.9 * case.ignorance
    if training.learning_rate < 1e-4:
        rate = _round(100 * training.learning_rate)
        advice = f"the learning rate may be too low: --set train.learning_rate={rate}"
    elif training.l2 >= 0.01:
        advice = f"the L2 penalty may keep the weights near 0: --set train.l2={_round(training.l2 / 100)}"
    else:
        advice = f"too high a learning rate kills units for good: {_lower_rate(training)}"
    return Diagnosis("dead network", dead, evidence, advice + ", and check that the labels belong to the images")


def _label_noise(case: Case) -> Diagnosis:
    """Mistakes as confident as right predictions, or training images learnt worse than test images."""
    metrics = case.metrics
    of_test, confidence = _confident_mistakes(metrics)
    of_training = metrics["wilson_low"] - metrics["train_accuracy"] > case.gate.max_overfit
    suspected = ", ".join(f"{s['suspects']:,} of {s['n']:,} {name}" for name, s in metrics["suspects"].items())
    evidence = (
        f"{confidence}; accuracy is {percent(metrics['train_accuracy'])} on the training images and "
        f"{percent(metrics['accuracy'])} on the test images; suspected label errors: {suspected} images"
    )
    advice = (
        "fix the labels (see the suspects in python -m pipeline report), or trust them less with "
        "--set train.label_smoothing=0.1"
    )
    return Diagnosis("label noise", of_test or of_training, evidence, advice)


def _confident_mistakes(metrics: Metrics) -> tuple[bool, str]:
    """Whether mistakes are about as confident as right predictions, and the figures in a sentence."""
    area, right, wrong = (metrics["confidence"][key] for key in ("separation", "right", "wrong"))
    if area is None or right is None or wrong is None:
        return False, "the predictions are all right or all wrong"
    correct, mistakes = metrics["correct"], metrics["n"] - metrics["correct"]
    sentence = (
        f"the median confidence is {percent(wrong)} in mistakes and {percent(right)} in right predictions (ROC area "
        f"{area:.2f}; 0.5 is no separation)"
    )
    confident = (
        mistakes >= MIN_MISTAKES
        and area + 2 * _area_error(area, correct, mistakes) < UNSURE_ABOUT_MISTAKES
        and wrong >= 0.8 * right
    )
    return confident, sentence


def _slow(case: Case) -> Diagnosis:
    """The last epoch was the best one and still much better than those before: training ended too early."""
    rows, epochs, training = case.rows, len(case.rows), case.training
    faster = training.learning_rate < 3e-4
    setting = f"learning_rate={_round(10 * training.learning_rate)}" if faster else f"epochs={2 * training.epochs}"
    advice = f"{'take larger steps' if faster else 'train longer'} with --set train.{setting}"
    if epochs < 2:
        return Diagnosis("slow convergence", False, "one epoch says nothing about the pace", advice)
    best, last = min(rows[:-1], key=lambda row: row["val_loss"]), rows[-1]
    fell = 1 - last["val_loss"] / best["val_loss"] if best["val_loss"] > 0 else 0.0
    evidence = (
        f"the last of {epochs} epochs took the validation loss from {best['val_loss']:.3g} to {last['val_loss']:.3g} "
        f"({-100 * fell:+.0f} %), accuracy from {percent(best['val_accuracy'])} to {percent(last['val_accuracy'])}"
    )
    falling = fell > (0.01 if faster else STILL_FALLING) and not case.metrics["training"]["stopped_early"]
    return Diagnosis("slow convergence", case.below_gate and falling, evidence, advice)


def _under_fitting(case: Case) -> Diagnosis:
    """Accuracy on the training images is below what the gate requires of new images."""
    accuracy, required = case.metrics["train_accuracy"], case.gate.min_accuracy
    evidence = (
        f"accuracy on the training images themselves is {percent(accuracy)}, and the gate requires "
        f"{bound(required) if required else 'none in particular'} of new ones (gate.min_accuracy)"
    )
    training = case.training
    if training.learning_rate > TOO_FAST:
        advice = f"take smaller steps: {_lower_rate(training)}"
    elif training.dropout > 0.5 or training.l2 > 0 or training.label_smoothing > 0.2:
        advice = "regularise less: --set train.dropout=0.2 train.l2=0 train.label_smoothing=0"
    else:
        advice = f"train a larger network: --set train.width={2 * training.width:g}, or another train.model"
    return Diagnosis("under-fitting", accuracy < required, evidence, advice)


def _over_fitting(case: Case) -> Diagnosis:
    """Accuracy on the training images exceeds that on the test images by more than the bound and by chance."""
    metrics, most = case.metrics, case.gate.max_overfit
    gap = round(metrics["gap"], 9)  # 1.0 - 0.97 is 0.030000000000000027, and that is not above 0.03
    evidence = (
        f"accuracy on the training images is {percentage_points(abs(gap))} {'above' if gap >= 0 else 'below'} that on "
        f"the test images ({percent(metrics['train_accuracy'])} and {percent(metrics['accuracy'])}; at most "
        f"{100 * most:.6g} expected, gate.max_overfit)"
    )
    rows = case.rows
    best, last = min(row["val_loss"] for row in rows), rows[-1]["val_loss"]
    if last > 1.1 * best > 0:
        evidence += f"; the validation loss rose from {best:.3g} to {last:.3g} after its best epoch"
    over = gap > most and metrics["train_accuracy"] > metrics["wilson_high"]
    dropout = min(0.8, case.training.dropout + 0.2)
    advice = f"vary the images with --set train.augment=shift,rotate, or raise --set train.dropout={dropout:g}"
    return Diagnosis("over-fitting", over, evidence, advice)


Rule = Callable[[Case], Diagnosis]

# rule -> the rules whose problem explains its own
EXPLAINED_BY: dict[Rule, tuple[Rule, ...]] = {
    _divergence: (),
    _dead: (_divergence,),
    _label_noise: (_divergence, _dead),
    _slow: (_divergence, _dead),
    _under_fitting: (_divergence, _dead, _label_noise, _slow),
    _over_fitting: (_divergence, _dead),
}


def _area_error(area: float, right: int, wrong: int) -> float:
    """Standard error of an area under the ROC curve. Hanley & McNeil, Radiology 143 (1982) 29-36."""
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (right - 1) * (q1 - area**2) + (wrong - 1) * (q2 - area**2)
    return math.sqrt(max(spread, 0.0) / (right * wrong))


def _lower_rate(training: Train) -> str:
    return f"--set train.learning_rate={_round(training.learning_rate / 10)}"


def _round(value: float) -> str:
    return f"{value:.3g}"
