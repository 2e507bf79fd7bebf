"""The figures of the analysis: slices, corrupted images, suspected label errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import ClassScores, Corruptions, Metrics, Slice, Suspect
from components.data.splits import Split
from components.evaluate.corruptions import KINDS
from components.evaluate.figures.metrics import mistakes, paste
from components.formatting import percent
from components.plotting import BLUE, INK, ORANGE, PALE, canvas, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 20

Entry = tuple[str, float, ClassScores | Slice]  # name, share, the row with its interval


def slices(metrics: Metrics, path: Path) -> None:
    """Recall of each class and accuracy of each slice, a dot with its 95 % interval; the accuracy as a line."""
    panels = {"class (recall)": _class_rows(metrics["per_class"])}
    for part in metrics["slices"]["parts"]:
        panels.setdefault(part["property"], []).append((part["part"], part["accuracy"], part))
    tallest = max(map(len, panels.values()))
    with canvas(path, 9.6, 0.9 + 0.26 * tallest) as figure:
        row = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for axes, (title, entries) in zip(row, panels.items(), strict=True):
            _dots(axes, entries, metrics["accuracy"])
            axes.set(title=title, ylim=(tallest - 0.4, -0.6))
        figure.supxlabel("accuracy in %, with its 95 % interval; the dashed line is that of all images", fontsize=10)


def _class_rows(rows: Sequence[ClassScores]) -> list[Entry]:
    """The classes in their order, or, where they are many, the weakest ones."""
    shown = [row for row in rows if row["support"]]
    if len(shown) > MOST_CLASSES:
        shown = sorted(shown, key=lambda row: row["recall"])[:MOST_CLASSES]
    return [(row["name"], row["recall"], row) for row in shown]


def _dots(axes: "Axes", entries: Sequence[Entry], accuracy: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    places = np.arange(len(entries))
    low, high = [row["wilson_low"] for _, _, row in entries], [row["wilson_high"] for _, _, row in entries]
    axes.axvline(accuracy, color=ORANGE, linestyle="--", linewidth=1.2)
    axes.hlines(places, low, high, color=BLUE, linewidth=2.4, alpha=0.45)
    axes.plot([share for _, share, _ in entries], places, "o", color=BLUE, markersize=5)
    axes.set_yticks(places, [short(name, 18) for name, _, _ in entries], fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}"))
    axes.grid(axis="x", color="#EEEEEE")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)


def corruption_curves(corruptions: Corruptions, path: Path) -> None:
    """The error at each strength, a panel for each kind; the error on the uncorrupted images, dashed."""
    from matplotlib.ticker import PercentFormatter

    clean = corruptions["clean_wrong"] / corruptions["n"]
    with canvas(path, 9.6, 2.3) as figure:
        row = figure.subplots(1, len(corruptions["kinds"]), sharey=True)
        for axes, kind in zip(row, corruptions["kinds"], strict=True):
            errors = [wrong / corruptions["n"] for wrong in kind["wrong"]]
            axes.axhline(clean, color=INK, linestyle="--", linewidth=1)
            axes.fill_between(range(1, len(errors) + 1), errors, clean, color=BLUE, alpha=0.15, linewidth=0)
            axes.plot(range(1, len(errors) + 1), errors, color=BLUE, marker="o", markersize=4, linewidth=1.6)
            axes.set_title(f"{kind['name']}\n{percent(kind['error'], 1)}", fontsize=10)
            axes.set(xticks=range(1, len(errors) + 1), ylim=(0, 1))
            axes.grid(axis="y", color=PALE)
            axes.set_axisbelow(True)
        row[0].set_ylabel("error")
        row[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        figure.supxlabel("strength", fontsize=10)


def corruption_samples(images: NDArray[np.uint8], path: Path) -> None:
    """*images*, uint8 (kinds, 1 + strengths, H, W, C), a row for each kind, the uncorrupted image first."""
    rows, columns = images.shape[:2]
    margin, head = 1.1, 0.35
    with canvas(path, 0.75 * (columns + margin), 0.75 * (rows + head), constrained=False) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        for j in range(columns):
            axes.text(margin + j + 0.5, head / 2, f"{j}" if j else "as it is", ha="center", va="center", fontsize=9)
        for i, kind in enumerate(KINDS):
            axes.text(0.1, head + i + 0.5, kind.name, va="center", fontsize=10)
            for j in range(columns):
                paste(axes, images[i, j], margin + j + 0.5, head + i + 0.5)
        axes.set(xlim=(0, columns + margin), ylim=(rows + head, 0), aspect="auto")


def suspects(splits: Mapping[str, Split], listed: Sequence[Suspect], classes: Sequence[str], path: Path) -> None:
    """The suspected label errors under "label -> suggested class, its probability", the most suspect first."""
    if not listed:
        return
    images = [splits[suspect["split"]].take(np.array([suspect["index"]])) for suspect in listed]
    mistakes(np.concatenate(images), listed, classes, path)
