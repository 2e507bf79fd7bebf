"""Report: one HTML file about one run, for people; everything is in it, so it can be mailed, archived and printed.

It reads JSON, CSV and PNG bytes of the artifacts and computes nothing anew, so it is made in a blink (and needs no
NumPy). Whatever a run did not make, because it was refused before that, is left out of the page.
"""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.formatting import label, percent, plain, points, sentence, size, thousands
from components.settings.sections import FORMATS, SECTIONS
from pipeline.report import analysis
from pipeline.report.accuracy_axis import gauge

if TYPE_CHECKING:
    from jinja2 import Environment

Verdict = Literal["promoted", "registered", "not promoted", "refused", "data rejected", "unfinished"]

# verdict -> tone of the page's head, sign, and what it says where nobody gave a reason
VERDICTS: dict[Verdict, tuple[str, str, str]] = {
    "promoted": ("good", "✓", "The model passed every check and is the champion now."),
    "registered": ("good", "✓", "The model passed every check and waits in the registry as challenger."),
    "not promoted": ("calm", "○", "The model is registered; the champion before it stays."),
    "refused": ("bad", "✕", "The model did not pass a check: nothing was promoted."),
    "data rejected": ("bad", "✕", "The images did not pass their checks: nothing was trained."),
    "unfinished": ("calm", "…", "The run ended before its last stage."),
}
MOST_SHEETS = 20  # contact sheets shown; a page of 200 classes would be too heavy to mail
MOST_CLASSES = 20  # classes listed at once; of more, the weakest ones are listed and the rest is folded away
MOST_PAIRS = 8
# pictures of evaluate
EVALUATED = (
    *("learning-curves", "augmented", "confusion", "mistakes", "calibration"),
    *("slices", "suspects", "corruption-curves", "corruption-samples"),
)


@dataclass(frozen=True)
class Report:
    """Everything that the page tells; plain data.

    artifacts: stage -> its directory, those that exist. stages: {stage, key, digest, made, seconds} in the order of
    the run. settings: "train.epochs" -> 12. facts: stage -> what it returned. comparison: what promote found when it
    held the challenger against the champion. at: the stage that refused, or at which the run ended.
    """

    run: str
    started: str
    source: str
    verdict: Verdict
    at: str = ""
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()
    model_name: str | None = None
    model_version: str | int | None = None
    aliases: Sequence[str] = ()
    artifacts: dict[str, Path] = field(default_factory=dict)
    stages: Sequence[dict[str, Any]] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str = ""
    commands: Sequence[str] = ()
    comparison: dict[str, Any] | None = None


def environment(folder: Path) -> "Environment":
    """Jinja's, for the templates of *folder*: what a template names and nobody gives is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # autoescape: the names of classes are names of folders, whatever they hold
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(report: Report, out: Path) -> None:
    """Write the page about *report* to the file *out*."""
    pages = environment(Path(__file__).parent / "templates")
    pages.filters |= {f.__name__: f for f in (percent, points, thousands, size, plain, label, sentence)}
    page = pages.get_template("run.html.j2").render(view(report))
    out.write_text(page, encoding="utf-8")


def view(report: Report) -> dict[str, Any]:
    """What the template shows, each part None or empty where the run has nothing for it."""
    tone, sign, meaning = VERDICTS[report.verdict]
    metrics = _read(report, "evaluate", "metrics.json")
    statistics = _read(report, "validate", "statistics.json")
    parity = _read(report, "export", "parity.json")
    settings = _settings(report.settings)
    return {
        "report": report,
        "tone": tone,
        "sign": sign,
        "title": f"{report.verdict} at {report.at}" if report.verdict == "refused" and report.at else report.verdict,
        "sentences": report.reasons or [meaning],
        "metrics": metrics,
        "gauge": gauge(metrics, report.settings.get("gate.min_accuracy")) if metrics else None,
        "classes": _classes(metrics) if metrics else None,
        "pairs": _pairs(metrics) if metrics else [],
        "origin": _read(report, "ingest", "source.json"),
        "data": _read(report, "normalize", "data.json"),
        "measured": _measured(statistics) if statistics else None,
        "sheets": _sheets(report, statistics["classes"] if statistics else []),
        "summary": _read(report, "train", "summary.json"),
        "parity": parity,
        "exports": _exports(parity, report) if parity else [],
        "pictures": _pictures(report, metrics),
        "settings": settings,
        "changed": sum(row["changed"] for rows in settings.values() for row in rows),
        **analysis.in_depth(report.artifacts, metrics, report.settings, report.comparison),
    }


def _read(report: Report, stage: str, name: str) -> Any:
    """The content of a JSON file of *stage*; None where the run has no such stage or file."""
    path = report.artifacts.get(stage, Path()) / name
    if stage not in report.artifacts or not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


# --- pictures


def picture(path: Path, alt: str) -> dict[str, Any] | None:
    """The PNG file *path* as a data URI, with the size to show it at: half its pixels, sharp on fine screens."""
    if not path.is_file():
        return None
    png = path.read_bytes()
    width, height = struct.unpack(">II", png[16:24])  # the header chunk, https://www.w3.org/TR/png-3/#11IHDR
    uri = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"uri": uri, "width": width // 2, "height": height // 2, "alt": alt}


def _pictures(report: Report, metrics: dict[str, Any] | None) -> dict[str, dict[str, Any] | None]:
    """name -> picture, None where the run has it not; the alternative text tells the figure that the picture shows."""
    stages = {"class-histogram": "validate"} | dict.fromkeys(EVALUATED, "evaluate")
    alts = {
        "class-histogram": "Bar chart: share of each class in the training and in the test split",
        "augmented": f"Training images and what augmentation makes of them: {report.settings.get('train.augment', '')}",
    }
    if metrics:
        wrong, best = metrics["n"] - metrics["correct"], metrics["training"]["best_epoch"]
        alts |= analysis.alternatives(metrics) | {
            "learning-curves": f"Loss and accuracy per epoch, training and validation; epoch {best} is the best",
            "confusion": f"Confusion matrix: {thousands(wrong)} of {thousands(metrics['n'])} images off the diagonal",
            "mistakes": f"The {len(metrics['mistakes'])} most confident mistakes; the table below lists them",
            "calibration": f"Reliability diagram: calibration error {percent(metrics['expected_calibration_error'])}",
        }
    folders = {name: report.artifacts.get(stage, Path("none")) / "pictures" for name, stage in stages.items()}
    return {name: picture(folder / f"{name}.png", alts.get(name, name)) for name, folder in folders.items()}


def _sheets(report: Report, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The contact sheets of validate, each named for its class."""
    if "validate" not in report.artifacts:
        return []
    files = sorted((report.artifacts["validate"] / "pictures").glob("contact*.png"))[:MOST_SHEETS]
    sheets = []
    for path in files:
        kind, number = path.stem.split("-")[:2]  # contact-3-Dress is class 3, contacts-00020 is twenty classes from 20
        name = classes[int(number)] if kind == "contact" else f"from {classes[int(number)]}"
        if sheet := picture(path, f"Sample images of class {name}"):
            sheets.append(sheet | {"name": name})
    return sheets


# --- data


def _measured(statistics: dict[str, Any]) -> dict[str, Any]:
    """What validate measured, as the rows of a table with one column per split."""
    splits = {name: statistics["splits"][name] for name in ("train", "test")}
    rows = [
        ("images", [thousands(split["images"]) for split in splits.values()]),
        ("mean brightness, 0 to 255", [_pixel(split, "mean") for split in splits.values()]),
        ("standard deviation", [_pixel(split, "deviation") for split in splits.values()]),
        ("of one colour", [thousands(split["constant"]["count"]) for split in splits.values()]),
        ("repeat an earlier one", [thousands(split["duplicates"]["count"]) for split in splits.values()]),
        ("copies with another label", [thousands(split["contradictions"]["count"]) for split in splits.values()]),
    ]
    return {"splits": list(splits), "rows": rows, "leaked": statistics["leaked"]["count"]}


def _pixel(split: dict[str, Any], name: str) -> str:
    return f"{split['pixels'][name]:.1f}" if split["pixels"] else "none"


# --- classes


def _classes(metrics: dict[str, Any]) -> dict[str, Any]:
    rows = metrics["per_class"]
    weakest = sorted(rows, key=lambda row: row["f1"])[:MOST_CLASSES]
    return {"rows": rows, "weakest": weakest if len(rows) > MOST_CLASSES else None}


def _pairs(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs of classes most often taken for each other, the most frequent first."""
    names, matrix = metrics["classes"], metrics["confusion"]
    cells = [
        {"truth": names[i], "predicted": names[j], "count": count}
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(cells, key=lambda cell: -cell["count"])[:MOST_PAIRS]


# --- exports


def _exports(parity: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    """A row for each exported format, in the order of FORMATS: what parity.json holds of it, and its times."""
    none = {"median_ms": None, "p99_ms": None, "gzip_bytes": None}
    facts = report.facts.get("export", {})
    rows = {name: none | facts.get(name, {}) | measured for name, measured in parity["formats"].items()}
    return [rows[name] | {"name": name} for name in FORMATS if name in rows]


# --- settings


def _settings(settings: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """section -> its settings, each with whether it differs from the default."""
    out: dict[str, list[dict[str, Any]]] = {}
    for name, value in settings.items():
        section, _, short = name.partition(".")
        default = getattr(SECTIONS.get(section), short, value)
        out.setdefault(section, []).append({"name": name, "value": value, "changed": value != default})
    return out
