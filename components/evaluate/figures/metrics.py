"""The figures of the metrics: confusion matrix, learning curves, mistakes, calibration."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import CalibrationBin, Mistake
from components.formatting import percent
from components.plotting import BLUE, INK, ORANGE, PALE, canvas, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILE_LETTERS = 10
MOST_NUMBERED = 20  # classes up to which every cell of the confusion matrix shows its count


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Rows are the truth, columns the prediction; the shade is the share of the row, blue where right, else orange.

    The darkest orange is the largest share among the mistakes (or 5 %), so that the few of a good model are seen.
    """
    from matplotlib.colors import to_rgb

    counts = np.asarray(matrix)
    n = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(n, dtype=bool)
    most = max(float(np.where(right, 0, share).max()), 0.05)
    strength = np.where(right, 0.85 * share, 0.85 * np.sqrt(share / most))[..., None]
    hue = np.where(right[..., None], to_rgb(BLUE), to_rgb(ORANGE))
    side = min(8.5, max(3.4, 1.4 + 0.4 * n))
    with canvas(path, side + 0.3, side) as figure:
        axes = figure.add_subplot()
        axes.imshow(1 - strength * (1 - hue), interpolation="nearest")
        axes.set(xlabel="predicted", ylabel="truth")
        _class_ticks(axes, classes)
        if n <= MOST_NUMBERED:
            _cell_numbers(axes, counts, strength[..., 0])


def _class_ticks(axes: "Axes", classes: Sequence[str]) -> None:
    step = math.ceil(len(classes) / 50)
    names = [short(name) for name in classes[::step]]
    size = 10 if len(classes) <= MOST_NUMBERED else 7
    rotation = 0 if max(map(len, names)) <= 3 and len(names) <= MOST_NUMBERED else 90
    axes.set_xticks(range(0, len(classes), step), names, rotation=rotation, fontsize=size)
    axes.set_yticks(range(0, len(classes), step), names, fontsize=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if len(classes) <= MOST_NUMBERED:
        axes.set_xticks(np.arange(len(classes) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(classes) - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=PALE, linewidth=0.6)
        axes.tick_params(which="minor", length=0)


def _cell_numbers(axes: "Axes", counts: NDArray[np.int64], strength: NDArray[np.float64]) -> None:
    size = 9 if len(counts) <= 12 and counts.max() < 10_000 else 7
    for row, column in zip(*np.nonzero(counts), strict=True):
        ink = "white" if row == column and strength[row, column] > 0.6 else INK  # dark on any orange
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=ink, fontsize=size)


def learning_curves(history: Path, best_epoch: int, path: Path) -> None:
    """Loss and accuracy per epoch of *history* (CSV), on training and validation images; the best epoch is marked."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    with canvas(path, 9, 3.4) as figure:
        for axes, name, title in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True):
            axes.axvline(best_epoch, color=PALE, linewidth=6, zorder=0, label=f"best epoch ({best_epoch})")
            for column, colour, marker, label in (
                (name, BLUE, "o", "training"),
                (f"val_{name}", ORANGE, "s", "validation"),
            ):
                values = [float(row[column]) for row in rows]
                axes.plot(epochs, values, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)
            axes.set(title=title, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(axis="y", color="#EEEEEE")
            axes.set_axisbelow(True)
            axes.legend()
        figure.axes[1].yaxis.set_major_formatter(PercentFormatter(1.0))


def mistakes(images: NDArray[np.uint8], wrong: Sequence[Mistake], classes: Sequence[str], path: Path) -> None:
    """The misclassified images, uint8 (n, H, W, C), the most confident first, with "truth -> predicted, confidence"."""
    if not wrong:
        _sentence("No mistakes: every test image was classified correctly.", path)
        return
    captions = _captions(wrong, classes)
    columns = min(len(wrong), 9)
    width, rows = max(columns, 3), math.ceil(len(wrong) / columns)
    height = 1.08 + 0.17 * (1 + captions[0].count("\n"))  # of a cell of width 1: the image and its caption
    with canvas(path, width, rows * height, constrained=False) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
            x, y = i % columns + 0.5, (i // columns) * height + 0.5
            paste(axes, image, x, y)
            axes.text(x, y + 0.51, caption, ha="center", va="top", fontsize=9, linespacing=1.15)
        axes.set(xlim=(0, width), ylim=(rows * height, 0), aspect="auto")


def paste(axes: "Axes", image: NDArray[np.uint8], x: float, y: float) -> None:
    """Draw *image* (H, W, C) in its own proportions, its middle at (x, y), its longer side 0.92."""
    half = [0.46 * side / max(image.shape[:2]) for side in image.shape[:2]]
    pixels = image.squeeze(-1) if image.shape[-1] == 1 else image
    axes.imshow(pixels, extent=(x - half[1], x + half[1], y + half[0], y - half[0]), cmap="gray", vmin=0, vmax=255)


def _captions(wrong: Sequence[Mistake], classes: Sequence[str]) -> list[str]:
    """One line, as in "7 → 1  99 %", or three where a class name is longer than two characters; then the file."""
    pairs = [(short(classes[mistake["truth"]]), short(classes[mistake["predicted"]])) for mistake in wrong]
    percents = [int(100 * mistake["probability"]) for mistake in wrong]  # rounded down: 99.7 % is not yet certain
    template = "{} → {}  {} %" if all(len(a + b) <= 4 for a, b in pairs) else "{}\n→ {}\n{} %"
    captions = [template.format(*pair, percent) for pair, percent in zip(pairs, percents, strict=True)]
    if not any("file" in mistake for mistake in wrong):
        return captions
    names = [_end(Path(mistake.get("file", "")).stem) for mistake in wrong]
    return [f"{caption}\n{name}" for caption, name in zip(captions, names, strict=True)]


def _end(name: str) -> str:
    """The end of *name*, where the names of files differ."""
    return name if len(name) <= FILE_LETTERS else "…" + name[1 - FILE_LETTERS :]


def _sentence(text: str, path: Path) -> None:
    with canvas(path, 6, 0.6, constrained=False) as figure:
        figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=11)


def calibration(bins: Sequence[CalibrationBin], error: float, path: Path) -> None:
    """A reliability diagram: accuracy against confidence by bin, and below it the number of images in each bin."""
    from matplotlib.ticker import PercentFormatter, StrMethodFormatter

    filled = [entry for entry in bins if entry["count"]]
    width = bins[0]["high"] - bins[0]["low"]
    lows = [entry["low"] for entry in filled]
    bars: dict[str, Any] = {"width": width, "align": "edge", "color": BLUE, "edgecolor": "white"}
    with canvas(path, 4.6, 5) as figure:
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        top.bar(lows, [entry["accuracy"] for entry in filled], alpha=0.35, **bars)
        top.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfectly calibrated")
        points = [entry["confidence"] for entry in filled], [entry["accuracy"] for entry in filled]
        top.plot(*points, color=ORANGE, marker="o", markersize=4, linewidth=1.6, label="this model")
        top.set(title=f"Calibration error {percent(error)}", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        top.legend(loc="upper left")
        below.bar(lows, [entry["count"] for entry in filled], **bars)
        below.set(xlabel="confidence", ylabel="images", yscale="log", ylim=(0.5, None))
        below.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        for axis in (top.xaxis, top.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
