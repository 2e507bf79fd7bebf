"""Report: one self-contained HTML file about one run; it can be mailed, archived and printed.

It reads JSON, CSV and PNG files of the artifacts and computes nothing again, so it needs no NumPy. Stages that the run
did not reach are left out of the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.artifact_files import (
    ClassScores,
    FormatParity,
    Metrics,
    NormalizedData,
    Parity,
    SourceFile,
    SplitStatistics,
    Statistics,
    TrainSummary,
)
from components.evaluate import baseline
from components.formatting import percent, thousands
from components.public_text import public
from components.settings.sections import FORMATS, SECTIONS
from pipeline.report.accuracy_axis import AccuracyAxis, accuracy_axis
from pipeline.report.analysis import Analysis, alternative_texts, analysis
from pipeline.report.content import Report, Verdict
from pipeline.report.files import Picture, picture, read_json
from pipeline.report.problems import ProblemGroup, problem_groups
from pipeline.report.rendering import environment

# verdict -> tone of the page's head, sign, and the sentence where the run gives no reason
VERDICTS: dict[Verdict, tuple[str, str, str]] = {
    "promoted": ("good", "✓", "The model passed every check and is now the champion."),
    "registered": ("good", "✓", "The model passed every check and is registered as challenger."),
    "undecided": ("calm", "○", "The model is registered; too few test images tell it from the champion, which stays."),
    "waiting": ("calm", "○", "The model is registered; a person decides whether it becomes champion."),
    "held": ("calm", "○", "The model is registered, and on hold: the champion did not change."),
    "not promoted": ("calm", "○", "The model is registered; the champion did not change."),
    "refused": ("bad", "✕", "The model did not pass a check: nothing was promoted."),
    "data rejected": ("bad", "✕", "The images did not pass their checks: nothing was trained."),
    "unfinished": ("calm", "…", "The run ended before its last stage."),
}
MOST_SHEETS = 20  # contact sheets shown; a page with those of 200 classes would be too large to mail
MOST_CLASSES = 20  # classes listed at once; of more, the weakest are listed and the rest is folded away
MOST_PAIRS = 8
# the figures of evaluate
EVALUATED = (
    *("learning-curves", "augmented", "confusion", "mistakes", "calibration"),
    *("slices", "suspects", "training-suspects", "corruption-curves", "corruption-samples"),
)


@dataclass(frozen=True)
class SplitTable:
    """What validate measured: a row for each property, a column for each split."""

    splits: list[str]
    rows: list[tuple[str, list[str]]]
    leaked: int
    near_leaked: int


@dataclass(frozen=True)
class ClassTable:
    """The scores of all classes, and the weakest of them where all are too many to list."""

    rows: list[ClassScores]
    weakest: list[ClassScores]


@dataclass(frozen=True)
class Pair:
    truth: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Export:
    """An exported file: its parity with Keras, and its times in ms where the run measured them."""

    parity: FormatParity
    median_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class SettingRow:
    name: str
    value: object
    changed: bool


@dataclass(frozen=True)
class Page:
    """The variables of the template; each is None or empty where the run has nothing for it."""

    report: Report
    tone: str
    sign: str
    title: str
    sentences: Sequence[str]
    metrics: Metrics | None
    axis: AccuracyAxis | None
    baseline: str
    classes: ClassTable | None
    pairs: list[Pair]
    origin: SourceFile | None
    data: NormalizedData | None
    measured: SplitTable | None
    sheets: list[Picture]
    problems: list[ProblemGroup]
    summary: TrainSummary | None
    parity: Parity | None
    exports: list[Export]
    pictures: dict[str, Picture | None]
    settings: dict[str, list[SettingRow]]
    changed: int
    analysis: Analysis = field(default_factory=Analysis)


def render(report: Report, out: Path) -> None:
    """Write the page about *report* to the file *out*."""
    template = environment().get_template("run.html.j2")
    out.write_text(public(template.render(vars(page(report)))), encoding="utf-8")


def page(report: Report) -> Page:
    tone, sign, meaning = VERDICTS[report.verdict]
    metrics: Metrics | None = read_json(report.artifacts, "evaluate", "metrics.json")
    statistics: Statistics | None = read_json(report.artifacts, "validate", "statistics.json")
    parity: Parity | None = read_json(report.artifacts, "export", "parity.json")
    settings = _settings(report.settings)
    return Page(
        report=report,
        tone=tone,
        sign=sign,
        title=f"{report.verdict} at {report.at}" if report.verdict == "refused" and report.at else report.verdict,
        sentences=report.reasons or [meaning],
        metrics=metrics,
        axis=accuracy_axis(metrics, _gate(report)) if metrics else None,
        baseline=_baseline(metrics) if metrics else "",
        classes=_classes(metrics) if metrics else None,
        pairs=_pairs(metrics) if metrics else [],
        origin=read_json(report.artifacts, "ingest", "source.json"),
        data=read_json(report.artifacts, "normalize", "data.json"),
        measured=_measured(statistics) if statistics else None,
        sheets=_sheets(report, statistics["classes"]) if statistics else [],
        problems=problem_groups(report.artifacts, report.pictures),
        summary=read_json(report.artifacts, "train", "summary.json"),
        parity=parity,
        exports=_exports(parity, report) if parity else [],
        pictures=_pictures(report, metrics),
        settings=settings,
        changed=sum(row.changed for rows in settings.values() for row in rows),
        analysis=analysis(report, metrics),
    )


def _gate(report: Report) -> float | None:
    gate = report.settings.get("gate.min_accuracy")
    return gate if isinstance(gate, float) and gate else None


def _baseline(metrics: Metrics) -> str:
    """What the accuracy is measured by."""
    base = baseline.of(metrics)
    answer = metrics["classes"][base.answer]
    return f"Always answering {answer!r}, the most frequent class, reaches {percent(base.accuracy)}."


# --- pictures


def _pictures(report: Report, metrics: Metrics | None) -> dict[str, Picture | None]:
    """name -> picture, None where the run does not have it."""
    stages = {"class-histogram": "validate"} | dict.fromkeys(EVALUATED, "evaluate")
    alts = {
        "class-histogram": "Bar chart: share of each class in the training and in the test split",
        "augmented": f"Training images and augmented variants of them: {report.settings.get('train.augment', '')}",
    }
    if metrics:
        wrong, best = metrics["n"] - metrics["correct"], metrics["training"]["best_epoch"]
        alts |= alternative_texts(metrics) | {
            "learning-curves": f"Loss and accuracy per epoch, training and validation; epoch {best} is the best",
            "confusion": f"Confusion matrix: {thousands(wrong)} of {thousands(metrics['n'])} images off the diagonal",
            "mistakes": f"The {len(metrics['mistakes'])} most confident mistakes; the table below lists them",
            "calibration": f"Reliability diagram: calibration error {percent(metrics['expected_calibration_error'])}",
        }
    folders = {name: report.pictures.get(stage, Path("none")) for name, stage in stages.items()}
    return {name: picture(folder / f"{name}.png", alts.get(name, name)) for name, folder in folders.items()}


def _sheets(report: Report, classes: Sequence[str]) -> list[Picture]:
    """The contact sheets of validate, each named after its class."""
    sheets = []
    folder = report.pictures.get("validate", Path("none"))
    for path in sorted(folder.glob("contact*.png"))[:MOST_SHEETS]:
        kind, number = path.stem.split("-")[:2]  # contact-3-Dress is class 3, contacts-00020 is twenty classes from 20
        name = classes[int(number)] if kind == "contact" else f"from {classes[int(number)]}"
        if sheet := picture(path, f"Sample images of class {name}", name, dense=False):
            sheets.append(sheet)
    return sheets


# --- tables


def _measured(statistics: Statistics) -> SplitTable:
    names: list[str] = [name for name in ("train", "validation", "test") if name in statistics["splits"]]
    splits = [statistics["splits"][name] for name in names]
    rows = [
        ("images", [thousands(split["images"]) for split in splits]),
        ("mean brightness, 0 to 255", [_pixel(split, "mean") for split in splits]),
        ("standard deviation", [_pixel(split, "deviation") for split in splits]),
        ("of one colour", [thousands(split["constant"]["count"]) for split in splits]),
        ("nearly blank", [thousands(split["faint"]["count"]) for split in splits]),
        ("duplicates", [thousands(split["duplicates"]["count"]) for split in splits]),
        ("duplicates with another label", [thousands(split["contradictions"]["count"]) for split in splits]),
        ("pairs of near duplicates", [thousands(split["near_duplicates"]["count"]) for split in splits]),
    ]
    return SplitTable(names, rows, statistics["leaked"]["count"], statistics["near_leaked"]["count"])


def _pixel(split: SplitStatistics, name: str) -> str:
    pixels = split["pixels"]
    return f"{pixels['mean' if name == 'mean' else 'deviation']:.1f}" if pixels else "none"


def _classes(metrics: Metrics) -> ClassTable:
    rows = metrics["per_class"]
    weakest = sorted(rows, key=lambda row: row["f1"])[:MOST_CLASSES]
    return ClassTable(rows, weakest if len(rows) > MOST_CLASSES else [])


def _pairs(metrics: Metrics) -> list[Pair]:
    """The most frequent confusions, (actual, predicted) class."""
    names, matrix = metrics["classes"], metrics["confusion"]
    pairs = [
        Pair(names[i], names[j], count)
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair.count)[:MOST_PAIRS]


def _exports(parity: Parity, report: Report) -> list[Export]:
    """The exported formats in the order of FORMATS."""
    exports = []
    for name in FORMATS:
        if measured := parity["formats"].get(name):
            times = report.facts.get("export", {}).get(name, {})
            exports.append(Export(measured, times.get("median_ms"), times.get("p99_ms")))
    return exports


def _settings(settings: Mapping[str, object]) -> dict[str, list[SettingRow]]:
    """section -> its settings, each with whether it differs from the default."""
    sections: dict[str, list[SettingRow]] = {}
    for name, value in settings.items():
        section, _, short = name.partition(".")
        default = getattr(SECTIONS.get(section), short, value)
        sections.setdefault(section, []).append(SettingRow(name, value, value != default))
    return sections
