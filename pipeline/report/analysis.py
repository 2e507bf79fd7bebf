"""The report's sections beyond the mean accuracy: slices, corruptions, suspected label errors, diagnosis.

Reads JSON and CSV, loads no NumPy. Each part is None or empty where the run has nothing for it.
"""

from dataclasses import dataclass, field

from components.artifact_files import CorruptionKind, Corruptions, Metrics, Slice, Suspects
from components.evaluate import diagnosis
from components.evaluate.diagnosis import Diagnosis
from components.formatting import percent, thousands
from components.settings.fields import without_effect
from components.settings.sections import Gate, Train
from pipeline import config
from pipeline.graph import Facts
from pipeline.report.content import Report
from pipeline.report.files import read_json


@dataclass(frozen=True)
class SliceRow:
    part: str
    span: str
    n: int
    accuracy: float
    wilson_low: float
    wilson_high: float


@dataclass(frozen=True)
class SliceTables:
    """*properties* has the rows of each property; *drawn* is the share of images that are line drawings."""

    drawn: float
    properties: dict[str, list[SliceRow]]


@dataclass(frozen=True)
class CorruptionRow:
    """Error rates under one corruption: at each strength, their mean, the champion's mean where it is known."""

    name: str
    meaning: str
    errors: list[float]
    mean: float
    champion: float | None


@dataclass(frozen=True)
class CorruptionTable:
    rows: list[CorruptionRow]
    n: int
    mean: float
    clean: float
    champion: float | None


@dataclass(frozen=True)
class Analysis:
    slices: SliceTables | None = None
    corruption: CorruptionTable | None = None
    suspects: Suspects | None = None
    diagnoses: list[Diagnosis] = field(default_factory=list)


def analysis(report: Report, metrics: Metrics | None) -> Analysis:
    corruptions: Corruptions | None = read_json(report.artifacts, "evaluate", "corruptions.json")
    suspects: Suspects | None = read_json(report.artifacts, "evaluate", "suspects.json")
    return Analysis(
        slices=_slices(metrics) if metrics else None,
        corruption=_corruption(corruptions, (report.comparison or {}).get("corruption")) if corruptions else None,
        suspects=suspects,
        diagnoses=_diagnoses(report, metrics) if metrics else [],
    )


def _slices(metrics: Metrics) -> SliceTables | None:
    if not metrics.get("slices"):
        return None
    properties: dict[str, list[SliceRow]] = {}
    for part in metrics["slices"]["parts"]:
        row = SliceRow(part["part"], _span(part), part["n"], part["accuracy"], part["wilson_low"], part["wilson_high"])
        properties.setdefault(f"{part['property']} ({part['unit']})", []).append(row)
    return SliceTables(metrics["slices"]["drawn"], properties)


def _span(part: Slice) -> str:
    low, high = part["low"], part["high"]
    if low is None:
        return "" if high is None else f"up to {high:.4g}"
    return f"{low:.4g} and more" if high is None else f"{low:.4g} to {high:.4g}"


def _corruption(corruptions: Corruptions, comparison: Facts | None) -> CorruptionTable:
    champion = comparison["champion"] if comparison else None
    n = corruptions["n"]
    return CorruptionTable(
        rows=[_corruption_row(kind, n, champion) for kind in corruptions["kinds"]],
        n=n,
        mean=corruptions["mean_error"],
        clean=corruptions["clean_wrong"] / n,
        champion=champion["mean"] if champion else None,
    )


def _corruption_row(kind: CorruptionKind, n: int, champion: Facts | None) -> CorruptionRow:
    return CorruptionRow(
        name=kind["name"],
        meaning=f"{kind['meaning']}: {', '.join(f'{strength:g}' for strength in kind['strengths'])}",
        errors=[wrong / n for wrong in kind["wrong"]],
        mean=kind["error"],
        champion=champion["kinds"][kind["name"]] if champion else None,
    )


def _diagnoses(report: Report, metrics: Metrics) -> list[Diagnosis]:
    train = report.artifacts.get("train")
    if train is None or not (train / "history.csv").is_file():
        return []
    training, bounds = config.section(report.settings, "train"), config.section(report.settings, "gate")
    training |= {f.name: f.default for f, _ in without_effect(Train, training)}  # older runs may have such settings
    return diagnosis.read(train, metrics, Train(**training), Gate(**bounds))


def alternative_texts(metrics: Metrics) -> dict[str, str]:
    """Figure -> the text for readers who do not see it."""
    error = percent(metrics.get("corruption_error", 0))
    counts = {name: split["suspects"] for name, split in metrics.get("suspects", {}).items()}
    in_training = counts.pop("train", 0)
    return {
        "slices": "Accuracy of each class and each slice with its 95 % interval; the tables below list them",
        "suspects": _suspects(sum(counts.values()), "suspected label errors"),
        "training-suspects": _suspects(in_training, "suspected label errors in the training split"),
        "corruption-curves": f"Error by strength for each corruption, {error} on average; the table lists them",
        "corruption-samples": "One test image under each corruption, unchanged and at the five strengths",
    }


def _suspects(count: int, what: str) -> str:
    return f"The first of {thousands(count)} {what}; the table below lists them"
