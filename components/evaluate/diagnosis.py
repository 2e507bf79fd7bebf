"""Diagnosis of a training: what its history and its evaluation show to be wrong, and which setting to change.

Each problem has a rule that small test splits do not trigger: a difference counts only where it exceeds chance. One
that is explained by another is not reported, so that no two sentences of a run contradict each other, and each advice
names settings that a run takes as they are written. Everything was measured by train and evaluate, so reused artifacts
are judged like new ones. Standard library only. A NaN loss ends the training itself (components.train.callbacks).
"""

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.artifact_files import Metrics
from components.evaluate import baseline
from components.findings import Finding
from components.formatting import percent, percentage_points
from components.history import best, late_fall
from components.settings import derived
from components.settings.sections import Gate, Train

MIN_MISTAKES = 10  # fewer say nothing about how the model errs
UNSURE_ABOUT_MISTAKES = 0.75  # ROC area (0.5 to 1) at which a sound model separates its mistakes by low confidence
USUAL_ACCURACY = 0.95  # expected of a training where no gate says more
FEW_STEPS = 300  # of the optimizer: fewer teach a network from random weights little, whatever the rate
LOW_RATE = 1e-4  # of Adam
BLOWN_UP = 10  # times the loss of equal probabilities: more than an untrained network has in its first epoch
FEW_FALLING = 0.03  # as STILL_FALLING, where there were FEW_STEPS
STILL_FALLING = 0.1  # relative decrease of the validation loss in the last fifth of the epochs
MOST_DROPOUT = 0.6
IMBALANCE = 10  # images of the most frequent class for one of the rarest
TESTED = 5  # test images of a class of which none is right


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
    def required(self) -> float:
        """The accuracy that the gate requires, or that is usual where there is none."""
        return self.gate.min_accuracy or USUAL_ACCURACY

    @property
    def not_good_enough(self) -> bool:
        """An oddity in a training that ended well is no problem."""
        return self.metrics["accuracy"] < self.required or not baseline.of(self.metrics).beaten

    @property
    def guessing(self) -> float:
        """The loss of equal probabilities for all classes, in nats."""
        return math.log(len(self.metrics["per_class"]))

    @property
    def usual_rate(self) -> float:
        """The learning rate that a training gets that sets none."""
        return derived.learning_rate(self.training)


def read(train: Path, metrics: Metrics, training: Train, gate: Gate) -> list[Diagnosis]:
    """Diagnose the training in the folder *train* from its history and *metrics*; empty without a history."""
    with (train / "history.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return diagnose(Case(rows, metrics, training, gate)) if rows else []


def warnings(diagnoses: Sequence[Diagnosis]) -> list[Finding]:
    return [Finding("warning", f"{d.name}: {d.evidence}; {d.advice}") for d in diagnoses if d.present]


def diagnose(case: Case) -> list[Diagnosis]:
    """Every problem, present or not; one that is explained by another counts as absent."""
    found: dict[Rule, Diagnosis] = {rule: rule(case) for rule in EXPLAINED_BY}
    return [
        replace(diagnosis, present=diagnosis.present and not any(found[cause].present for cause in EXPLAINED_BY[rule]))
        for rule, diagnosis in found.items()
    ]


def _divergence(case: Case) -> Diagnosis:
    """The training loss rose far above that of equal probabilities, or ended there after a worse one."""
    losses, training = [row["loss"] for row in case.rows], case.training
    worst = max(range(len(losses)), key=losses.__getitem__)
    lowest = min(losses[: worst + 1])  # a network from random weights may begin with a high loss
    rose = losses[worst] > max(2 * case.guessing, 2 * lowest) or losses[worst] > BLOWN_UP * case.guessing
    comparable = not (training.l2 or training.teacher)  # otherwise the loss has other terms too
    evidence = (
        f"the highest training loss is {losses[worst]:.3g}, in epoch {worst + 1}, and the last one {losses[-1]:.3g}; "
        f"equal probabilities for all classes give {case.guessing:.2f}"
        f"{'' if comparable else ' (without the L2 penalty or the teacher)'}"
    )
    collapsed = losses[-1] > 0.95 * case.guessing and losses[worst] > 1.5 * case.guessing
    present = comparable and (collapsed or (rose and case.not_good_enough))
    return Diagnosis("divergence", present, evidence, f"take smaller steps with {_lower_rate(case)}")


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
    if training.learning_rate < LOW_RATE:
        advice = f"the learning rate is too low: --set train.learning_rate={_round(case.usual_rate)}"
    elif training.l2 >= 0.01:
        advice = f"the L2 penalty keeps the weights near 0: --set train.l2={_round(training.l2 / 100)}"
    else:
        advice = f"too high a learning rate kills units for good: {_lower_rate(case)}"
    return Diagnosis("dead network", dead, evidence, advice + ", and check that the labels belong to the images")


def _imbalance(case: Case) -> Diagnosis:
    """A rare class of which no test image is right, beside one with many times its images."""
    rows = case.metrics["per_class"]
    most = max(row["support"] for row in rows)
    rare = [row for row in rows if row["support"] >= TESTED and IMBALANCE * row["support"] <= most]
    missed = [row for row in rare if not row["recall"]]
    named = ", ".join(f"{row['name']!r} ({row['support']:,})" for row in missed[:3])
    evidence = f"no test image of {named} is right, and the most frequent class has {most:,}"
    weighted = case.training.class_weights == "balanced"
    advice = "add images of it" if weighted else "weigh the classes with --set train.class_weights=balanced"
    return Diagnosis("class imbalance", bool(missed), evidence, advice)


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
    """Training ended while it was still improving, or after too few steps to learn anything."""
    rows, training, steps = case.rows, case.training, case.metrics["training"].get("steps", FEW_STEPS)
    first, last, fell = rows[0], rows[-1], late_fall(rows)
    evidence = (
        f"{len(rows)} epochs are {steps:,} steps, and the last fifth of them lowered the validation loss by "
        f"{100 * fell:.0f} % to {last['val_loss']:.3g} (accuracy from {percent(first['val_accuracy'])} in the first "
        f"epoch to {percent(last['val_accuracy'])})"
    )
    too_few = steps < FEW_STEPS and (fell > FEW_FALLING or len(rows) < 3)
    if training.learning_rate < LOW_RATE:
        advice = f"take larger steps with --set train.learning_rate={_round(case.usual_rate)}"
    elif too_few:
        advice = _more_steps(case, steps)
    else:
        advice = f"train longer with --set train.epochs={2 * len(rows)}"
    slow = (too_few or fell > STILL_FALLING) and not case.metrics["training"]["stopped_early"]
    learns_too_little = case.metrics["train_accuracy"] < case.required
    present = case.not_good_enough and slow and (learns_too_little or fell > STILL_FALLING)
    return Diagnosis("slow convergence", present, evidence, advice)


def _more_steps(case: Case, steps: int) -> str:
    """The advice to take as many steps as a run does that sets neither epochs nor batches."""
    epochs, batch = len(case.rows), case.training.batch_size
    smaller = min(batch, derived.SMALL_BATCH)
    enough = math.ceil(derived.steps(smaller) * epochs * smaller / (steps * batch))
    batches = f" train.batch_size={smaller}" if smaller < batch else ""
    return f"take more steps with --set train.epochs={max(enough, 2 * epochs)}{batches}"


def _under_fitting(case: Case) -> Diagnosis:
    """Accuracy on the training images is below what is required of new images."""
    accuracy, training = case.metrics["train_accuracy"], case.training
    evidence = (
        f"accuracy on the training images themselves is {percent(accuracy)}, and "
        f"{percent(case.required)} {'is required' if case.gate.min_accuracy else 'is usual'} of new ones"
    )
    if training.learning_rate > 2 * case.usual_rate:
        advice = f"take smaller steps: {_lower_rate(case)}"
    elif training.dropout > 0.5 or training.l2 > 0 or training.label_smoothing > 0.2:
        dropout = min(0.2, training.dropout)
        advice = f"regularise less: --set train.dropout={dropout:g} train.l2=0 train.label_smoothing=0"
    else:
        advice = f"train a larger network: --set train.width={2 * training.width:g}, or another train.model"
    return Diagnosis("under-fitting", accuracy < case.required, evidence, advice)


def _over_fitting(case: Case) -> Diagnosis:
    """Accuracy on the training images exceeds that on the test images by more than the bound and by chance."""
    metrics, most = case.metrics, case.gate.max_overfit
    gap = round(metrics["gap"], 9)  # 1.0 - 0.97 is 0.030000000000000027, and that is not above 0.03
    evidence = (
        f"accuracy on the training images is {percentage_points(abs(gap))} {'above' if gap >= 0 else 'below'} that on "
        f"the test images ({percent(metrics['train_accuracy'])} and {percent(metrics['accuracy'])}; at most "
        f"{100 * most:.6g} expected, gate.max_overfit)"
    )
    lowest, last = best(case.rows)["val_loss"], case.rows[-1]["val_loss"]
    if last > 1.1 * lowest > 0:
        evidence += f"; the validation loss rose from {lowest:.3g} to {last:.3g} after its best epoch"
    over = gap > most and metrics["train_accuracy"] > metrics["wilson_high"]
    return Diagnosis("over-fitting", over, evidence, _regularise(case.training))


def _regularise(training: Train) -> str:
    """The next thing to do against over-fitting: what the settings do not do already."""
    if not training.augment:
        return "vary the images with --set train.augment=rotate,shift,zoom"
    if training.dropout < MOST_DROPOUT:
        return f"drop more units with --set train.dropout={min(MOST_DROPOUT, training.dropout + 0.2):g}"
    return f"add images, or train a smaller network with --set train.width={training.width / 2:g}"


Rule = Callable[[Case], Diagnosis]

# rule -> the rules whose problem explains its own
EXPLAINED_BY: dict[Rule, tuple[Rule, ...]] = {
    _divergence: (),
    _slow: (_divergence,),
    _imbalance: (_divergence, _slow),
    _dead: (_divergence, _slow, _imbalance),
    _label_noise: (_divergence, _slow, _dead),
    _under_fitting: (_divergence, _slow, _dead, _label_noise),
    _over_fitting: (_divergence, _slow, _dead),
}


def _area_error(area: float, right: int, wrong: int) -> float:
    """Standard error of an area under the ROC curve. Hanley & McNeil, Radiology 143 (1982) 29-36."""
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (right - 1) * (q1 - area**2) + (wrong - 1) * (q2 - area**2)
    return math.sqrt(max(spread, 0.0) / (right * wrong))


def _lower_rate(case: Case) -> str:
    return f"--set train.learning_rate={_round(min(case.training.learning_rate / 10, case.usual_rate))}"


def _round(value: float) -> str:
    return f"{value:.3g}"
