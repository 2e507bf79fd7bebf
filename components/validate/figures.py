"""Figures of the data, drawn with Pillow alone: the same images give the same bytes.

pictures/
  class-histogram.png     the share of each class in training and test, with the numbers of images
  contact-<class>.png     up to 30 training images of one class, evenly spaced, each below its file's name or its index;
                          a class name other than its number is appended: contact-0.png, contact-07-Sneaker.png
  contacts-<first>.png    instead, for more than SHEETS classes: a row of six images for each class
  problem-<problem>.png   the first images with that problem, such as duplicate (components/data/problems.py)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.artifact_files import SplitStatistics, Statistics
from components.data.problems import ImageFiles, Problem
from components.data.splits import Split
from components.formatting import percent

SHEETS = 50
COLUMNS, ROWS = 6, 5
CLASSES_PER_PAGE, PAGES = 20, 25
TILE, GAP, LINE, MARGIN, NAME = 64, 6, 14, 16, 150
LISTED, TEXT = 12, 300  # problems on a sheet; width of the text beside them
HISTOGRAM_ROWS, BAR, SPACE, BARS, EDGE, HEAD = 60, 24, 18, 840, 32, 136
BLACK, GREY, PALE, WHITE = "#222222", "#6e6e6e", "#e6e6e6", "#ffffff"
COLOURS = {
    "train": "#0072B2",
    "validation": "#009E73",
    "test": "#E69F00",
}  # safe for colour-blind readers: Okabe and Ito 2008

Row = tuple[str, NDArray[np.int64]]


def draw(ingest: Path, statistics: Statistics, problems: Sequence[Problem], folder: Path) -> None:
    """Draw the figures; contact sheets and *problems* only where the arrays are sound."""
    folder.mkdir()
    splits = statistics["splits"]
    if statistics["classes"] and any(any(split["histogram"] or []) for split in splits.values()):
        class_histogram(statistics).save(folder / "class-histogram.png")
    sound = {name: Split(ingest / name) for name, split in splits.items() if _sound(split, statistics["shape"])}
    if train := sound.get("train"):
        for name, sheet in contact_sheets(train, statistics["classes"], ImageFiles.of(ingest)):
            sheet.save(folder / name)
    if len(sound) == len(splits):
        for kind in dict.fromkeys(problem.problem for problem in problems):
            of_kind = [problem for problem in problems if problem.problem == kind]
            problem_sheet(sound, of_kind).save(folder / f"problem-{kind}.png")


def problem_sheet(splits: Mapping[str, Split], problems: Sequence[Problem]) -> Image.Image:
    """A row for each of the first *problems*: the image, the one that it repeats if any, file, class and detail."""
    shown = problems[:LISTED]
    left = MARGIN + (2 if shown[0].other else 1) * (TILE + GAP) + GAP
    page = Image.new("RGB", (left + TEXT + MARGIN, 2 * MARGIN + len(shown) * (TILE + GAP) - GAP), WHITE)
    pen = ImageDraw.Draw(page)
    for row, problem in enumerate(shown):
        top = MARGIN + row * (TILE + GAP)
        for column, image in enumerate(filter(None, (problem.image, problem.other))):
            _paste(page, splits[image.split].take(np.array([image.position]))[0], (MARGIN + column * (TILE + GAP), top))
        lines = (str(problem.image), f"{problem.class_name}, {problem.image.split}", problem.detail)
        for line, (text, colour) in enumerate(zip(lines, (BLACK, GREY, GREY), strict=True)):
            pen.text((left, top + 6 + 18 * line), _cut(text, 12, TEXT), colour, _font(12))
    return page


def _sound(split: SplitStatistics, shape: list[int]) -> bool:
    """Whether all arrays can be read, images are uint8 of *shape*, and each has a label."""
    labels = split["labels"]
    if split["unreadable"] or not labels or labels["shape"] != [split["images"]] or not split["histogram"]:
        return False
    return all((kind["dtype"], kind["shape"]) == ("uint8", shape) for kind in split["kinds"])


def contact_sheets(split: Split, classes: list[str], files: ImageFiles) -> Iterator[tuple[str, Image.Image]]:
    """File name and image of each sheet: one for each class or, where there are many, one for twenty classes."""
    indices = [np.flatnonzero(split.labels == number) for number in range(len(classes))]
    if len(classes) <= SHEETS:
        for number, (name, of_class) in enumerate(zip(classes, indices, strict=True)):
            shown = _evenly(of_class, COLUMNS * ROWS)
            title = f"class {name}: {len(shown):,} of {len(of_class):,} training images"
            rows = [("", shown[start : start + COLUMNS]) for start in range(0, len(shown), COLUMNS)]
            yield sheet_name(number, name, len(classes)), contact_sheet(split, title, rows, files)
        return
    for start in range(0, min(len(classes), CLASSES_PER_PAGE * PAGES), CLASSES_PER_PAGE):
        numbers = range(start, min(start + CLASSES_PER_PAGE, len(classes)))
        title = f"classes {numbers[0] + 1} to {numbers[-1] + 1} of {len(classes):,}"
        rows = [(classes[number], _evenly(indices[number], COLUMNS)) for number in numbers]
        yield f"contacts-{start:05}.png", contact_sheet(split, title, rows, files)


def sheet_name(number: int, name: str, classes: int) -> str:
    """A file name for class *number*: safe on every file system, and unique, even for classes "A" and "a"."""
    padded = f"{number:0{len(str(classes - 1))}}"
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:40].strip("._")
    return f"contact-{padded}.png" if safe in ("", padded) else f"contact-{padded}-{safe}.png"


def contact_sheet(split: Split, title: str, rows: Sequence[Row], files: ImageFiles) -> Image.Image:
    """A page of training images, each row with a name at its left (where rows have names), each image below its own."""
    left = MARGIN + (NAME if any(name for name, _ in rows) else 0)
    width, step = left + COLUMNS * (TILE + GAP) - GAP + MARGIN, TILE + LINE + GAP
    page = Image.new("RGB", (width, 2 * MARGIN + 24 + max(1, len(rows)) * step - GAP), WHITE)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, MARGIN - 2), _cut(title, 14, width - 2 * MARGIN), BLACK, _font(14))
    for row, (name, indices) in enumerate(rows):
        top = MARGIN + 24 + row * step
        pen.text((MARGIN, top + LINE + TILE // 2), _cut(name, 12, NAME - 12), BLACK, _font(12), anchor="lm")
        for column, (index, image) in enumerate(zip(indices.tolist(), split.take(indices), strict=True)):
            corner = left + column * (TILE + GAP), top + LINE
            above = Path(files.at("train", index).file).stem or str(index)
            pen.text((corner[0] + TILE // 2, top), _cut(above, 10, TILE), GREY, _font(10), anchor="ma")
            _paste(page, image, corner)
        split.close()
    return page


def _paste(page: Image.Image, pixels: NDArray[np.uint8], corner: tuple[int, int]) -> None:
    """Centre the image in its tile: enlarged by a whole factor, so that each pixel shows, or shrunk."""
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    scale = TILE / max(image.size)
    factor = int(scale) if scale >= 1 else scale
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    image = image.resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX)
    ImageDraw.Draw(page).rectangle((corner[0], corner[1], corner[0] + TILE - 1, corner[1] + TILE - 1), PALE)
    page.paste(image, (corner[0] + (TILE - size[0]) // 2, corner[1] + (TILE - size[1]) // 2))


def class_histogram(statistics: Statistics) -> Image.Image:
    """A bar for each class and split: its share of the images; of many classes, only the extremes.

    Drawn at twice its display size, for sharp screens.
    """
    counts = {name: split["histogram"] or [] for name, split in statistics["splits"].items()}
    classes = statistics["classes"]
    longest = max(count / max(1, sum(of)) for of in counts.values() for count in of) or 1.0
    numbers = _shown(counts["train"], len(classes))
    names = {number: _cut(classes[number], 24, 2 * NAME) for number in numbers}
    left = EDGE + max(_font(24).getlength(name) for name in names.values()) + 18
    group = len(counts) * BAR + SPACE
    page = Image.new("RGB", (round(left) + BARS + 220, HEAD + len(numbers) * group + EDGE), WHITE)
    pen = ImageDraw.Draw(page)
    _legend(pen, {name: sum(of) for name, of in counts.items()}, len(numbers), len(classes))
    for row, number in enumerate(numbers):
        top = HEAD + row * group
        pen.text((left - 16, top + len(counts) * BAR // 2), names[number], BLACK, _font(24), anchor="rm")
        for bar, (name, of) in enumerate(counts.items()):
            count = of[number] if of else 0
            _bar(pen, (left, top + bar * BAR), count, count / max(1, sum(of)), longest, COLOURS[name])
    return page


def _shown(counts: list[int], classes: int) -> list[int]:
    """All classes in order or, where there are too many to read, the most and the least frequent ones."""
    if classes <= HISTOGRAM_ROWS:
        return list(range(classes))
    order = sorted(range(len(counts)), key=lambda number: -counts[number]) or list(range(classes))
    return order[: HISTOGRAM_ROWS // 2] + order[-HISTOGRAM_ROWS // 2 :]


def _bar(
    pen: ImageDraw.ImageDraw, corner: tuple[float, float], count: int, share: float, longest: float, colour: str
) -> None:
    x, y = corner
    end = x + round(BARS * share / longest)
    if count:
        pen.rectangle((x, y, max(x, end - 1), y + BAR - 3), colour)
    pen.text((end + 12, y + BAR / 2 - 1), percent(share, 1), BLACK, _font(19), anchor="lm")
    pen.text((end + 100, y + BAR / 2 - 1), f"{count:,}", GREY, _font(19), anchor="lm")


def _legend(pen: ImageDraw.ImageDraw, totals: dict[str, int], shown: int, classes: int) -> None:
    title = (
        "Share of each class" if shown == classes else f"The {shown // 2} largest and smallest of {classes:,} classes"
    )
    pen.text((EDGE, EDGE - 4), title, BLACK, _font(28))
    x = float(EDGE)
    for name, total in totals.items():
        text = f"{name}, {total:,} images"
        pen.rectangle((x, EDGE + 52, x + 22, EDGE + 74), COLOURS[name])
        pen.text((x + 34, EDGE + 64), text, BLACK, _font(24), anchor="lm")
        x += 34 + _font(24).getlength(text) + 48


def _evenly(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(indices) <= most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).round().astype(np.int64)]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib; located without the seconds that importing matplotlib takes."""
    matplotlib = find_spec("matplotlib")
    folder = Path(str(matplotlib and matplotlib.origin)).parent
    return ImageFont.truetype(folder / "mpl-data/fonts/ttf/DejaVuSans.ttf", size, layout_engine=ImageFont.Layout.BASIC)


def _cut(text: str, size: int, width: float) -> str:
    """*text*, shortened until it is at most *width* pixels wide."""
    text = " ".join(text.split())
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "\u2026") > width:
        text = text[:-1]
    return text + "\u2026"
