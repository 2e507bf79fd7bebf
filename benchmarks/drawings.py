"""python -m benchmarks.drawings FOLDER [IMAGES]: accuracy on MNIST's test digits as people draw them on a sheet.

FOLDER holds a published model (`model_info.json`); MNIST_DIR the digits. Each is drawn again, black and white, on a
sheet of 280 x 280 pixels in another size, at another place, with another pen, and is classified as the page of the
server does it and, for comparison, merely resized.
"""

import gzip
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from components.artifact_files import DrawnForm
from components.data.splits import Images, Labels
from components.inference import drawings, model_info
from components.inference.classifier import Classifier

SHEET, SIDE, BOX = 280, 28, 20
IMAGES = 2000
SEED = 0


@dataclass(frozen=True)
class Kind:
    """Of what is drawn: the longer side of the ink and what the pen is wider, in pixels of the sheet, and degrees."""

    size: tuple[int, int] = (200, 200)
    pen: tuple[int, int] = (0, 0)
    rotation: float = 0
    centred: bool = True


KINDS = {
    "usual size, in the middle": Kind(),
    "small, anywhere": Kind(size=(90, 90), centred=False),
    "large": Kind(size=(260, 260)),
    "thick pen": Kind(pen=(12, 12)),
    "thin pen": Kind(pen=(-6, -6)),
    "mixed": Kind(size=(80, 250), pen=(-2, 10), rotation=10, centred=False),
}


def redrawn(digit: Images, kind: Kind, rng: np.random.Generator) -> Image.Image:
    """*digit*, uint8 (28, 28), drawn on a sheet."""
    size, pen = (int(rng.integers(low, high + 1)) for low, high in (kind.size, kind.pen))
    large = Image.fromarray(digit).resize((SIDE * size // BOX,) * 2, Image.Resampling.BICUBIC)
    turned = large.rotate(rng.uniform(-kind.rotation, kind.rotation), Image.Resampling.BICUBIC)
    ink = turned.point(lambda value: 255 * (value > 127))
    if pen:
        # a frame first, so that a pen that grows is not cut off
        framed = Image.new("L", (ink.width + 2 * abs(pen),) * 2)
        framed.paste(ink, (abs(pen),) * 2)
        ink = framed.filter((ImageFilter.MaxFilter if pen > 0 else ImageFilter.MinFilter)(abs(pen) // 2 * 2 + 1))
    ink = ink.crop(ink.getbbox())
    room = [max(0, SHEET - length) for length in ink.size]
    place = [space // 2 if kind.centred else int(rng.integers(space + 1)) for space in room]
    sheet = Image.new("L", (SHEET, SHEET))
    sheet.paste(ink, (place[0], place[1]))
    return sheet


def resized(sheet: Image.Image, form: DrawnForm) -> Images:
    """What a drawing is without its form."""
    return np.asarray(sheet.resize((SIDE, SIDE), Image.Resampling.BOX))[..., None]


def formed(sheet: Image.Image, form: DrawnForm) -> Images:
    return drawings.formed(np.asarray(sheet, np.float32), SIDE, form)


def accuracies(
    classifier: Classifier, form: DrawnForm, images: Images, labels: Labels
) -> dict[str, tuple[float, float]]:
    """The accuracy in each kind of drawing, merely resized and in the form of the training; test images as they are."""
    rows = {"the test images": _shares(classifier, [Image.fromarray(image) for image in images], labels, form)}
    for name, kind in KINDS.items():
        rng = np.random.default_rng(SEED)
        rows[name] = _shares(classifier, [redrawn(image, kind, rng) for image in images], labels, form)
    return rows


def _shares(classifier: Classifier, sheets: list[Image.Image], labels: Labels, form: DrawnForm) -> tuple[float, float]:
    def share(prepare: Callable[[Image.Image, DrawnForm], Images]) -> float:
        answers = classifier.probabilities(np.stack([prepare(sheet, form) for sheet in sheets])).argmax(axis=1)
        return float((answers == labels).mean())

    return share(resized), share(formed)


def _idx(file: str, offset: int) -> NDArray[np.uint8]:
    packed = Path(os.environ["MNIST_DIR"]) / f"{file}.gz"
    return np.frombuffer(gzip.decompress(packed.read_bytes()), np.uint8, offset=offset)


def main(folder: Path, count: int) -> None:
    info = model_info.read(folder)
    if not info["drawn"]:
        raise SystemExit(f"the model in {folder} was not trained on drawings of one form")
    images = _idx("t10k-images-idx3-ubyte", 16).reshape(-1, SIDE, SIDE)
    labels = _idx("t10k-labels-idx1-ubyte", 8).astype(np.int64)
    chosen = np.random.default_rng(SEED).choice(len(images), count, replace=False)
    classifier = Classifier(folder / model_info.litert_file(info))
    print(f"{count} test digits               resized    in the training's form")
    for name, (plain, ours) in accuracies(classifier, info["drawn"], images[chosen], labels[chosen]).items():
        print(f"{name:28}{100 * plain:8.2f} %{100 * ours:8.2f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else IMAGES)
