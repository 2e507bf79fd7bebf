"""python -m benchmarks.drawings FOLDER [IMAGES]: accuracy on digits as people draw them on a sheet.

FOLDER holds a published model (`model_info.json`) of MNIST, whose test images MNIST_DIR has, or of scikit-learn's
digits. Each test image is drawn again, black and white, on a sheet of 280 x 280 pixels in another size, at another
place, with another pen; "by hand" are strokes that no image has. Each sheet is classified as the page of the server
does it, from a PNG file, and, for comparison, merely resized.
"""

import gzip
import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from components.artifact_files import DrawnForm
from components.data.splits import Images, Labels
from components.inference import drawings, model_info
from components.inference.classifier import Classifier
from components.ingest.sources import digits
from components.settings.sections import Ingest
from tests.support.handwriting import SHEET, sheet, written

SIDE = 28
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
    "thick pen (+12)": Kind(pen=(12, 12)),
    "very thick pen (+30)": Kind(pen=(30, 30)),
    "thin pen": Kind(pen=(-6, -6)),
    "mixed": Kind(size=(80, 250), pen=(-2, 10), rotation=10, centred=False),
}
HANDS = {"by hand": ((80, 250), (12, 30)), "by hand, thick pen": ((200, 260), (36, 44))}  # size, pen


def redrawn(digit: Images, box: int, kind: Kind, rng: np.random.Generator) -> Image.Image:
    """*digit*, uint8 (28, 28) with an ink of *box* pixels, drawn on a sheet."""
    size, pen = (int(rng.integers(low, high + 1)) for low, high in (kind.size, kind.pen))
    large = Image.fromarray(digit).resize((SIDE * size // box,) * 2, Image.Resampling.BICUBIC)
    turned = large.rotate(rng.uniform(-kind.rotation, kind.rotation), Image.Resampling.BICUBIC, expand=box == SIDE)
    ink = turned.point(lambda value: 255 * (value > 127))
    if pen:
        # a frame first, so that a pen that grows is not cut off
        framed = Image.new("L", (ink.width + 2 * abs(pen),) * 2)
        framed.paste(ink, (abs(pen),) * 2)
        ink = framed.filter((ImageFilter.MaxFilter if pen > 0 else ImageFilter.MinFilter)(abs(pen) // 2 * 2 + 1))
    ink = ink.crop(ink.getbbox())
    room = [max(0, SHEET - length) for length in ink.size]
    place = [space // 2 if kind.centred else int(rng.integers(space + 1)) for space in room]
    paper = Image.new("L", (SHEET, SHEET))
    paper.paste(ink, (place[0], place[1]))
    return paper


def by_hand(label: int, sizes: tuple[int, int], pens: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    size, pen = int(rng.integers(*sizes, endpoint=True)), int(rng.integers(*pens, endpoint=True))
    x, y = (int(rng.integers(SHEET - size + 1)) for _ in range(2))
    return sheet(written(label, rng), size, pen, (x, y))


def resized(paper: Image.Image, form: DrawnForm) -> Images:
    """What a drawing is without its form."""
    return np.asarray(paper.resize((SIDE, SIDE), Image.Resampling.BOX))[..., None]


def formed(paper: Image.Image, form: DrawnForm) -> Images:
    file = io.BytesIO()
    paper.save(file, "PNG")
    return drawings.read(file.getvalue(), SIDE, form)


def accuracies(
    classifier: Classifier, form: DrawnForm, images: Images, labels: Labels
) -> Iterator[tuple[str, float, float]]:
    """The accuracy in each kind of drawing, merely resized and in the form of the training; test images as they are."""

    def share(sheets: list[Image.Image], prepare: Callable[[Image.Image, DrawnForm], Images]) -> float:
        answers = classifier.probabilities(np.stack([prepare(paper, form) for paper in sheets])).argmax(axis=1)
        return float((answers == labels).mean())

    def both(sheets: list[Image.Image]) -> tuple[float, float]:
        return share(sheets, resized), share(sheets, formed)

    yield "the test images", *both([Image.fromarray(image) for image in images])
    for name, kind in KINDS.items():
        rng = np.random.default_rng(SEED)
        yield name, *both([redrawn(image, form["box"], kind, rng) for image in images])
    for name, (sizes, pens) in HANDS.items():
        rng = np.random.default_rng(SEED)
        yield name, *both([by_hand(int(label), sizes, pens, rng) for label in labels])


def _test_images(name: str) -> tuple[Images, Labels]:
    """Those of scikit-learn's digits or of MNIST, by the *name* of the model."""
    if name.startswith("digits"):
        blocks = digits.read(Ingest(source="digits"), Path()).blocks
        [(images, labels)] = [(images[..., 0], labels) for split, images, labels in blocks if split == "test"]
        return images, labels
    return _idx("images-idx3", 16).reshape(-1, SIDE, SIDE), _idx("labels-idx1", 8).astype(np.int64)


def _idx(what: str, offset: int) -> Images:
    packed = Path(os.environ["MNIST_DIR"]) / f"t10k-{what}-ubyte.gz"
    return np.frombuffer(gzip.decompress(packed.read_bytes()), np.uint8, offset=offset)


def main(folder: Path, count: int) -> None:
    info = model_info.read(folder)
    if not info["drawn"]:
        raise SystemExit(f"the model in {folder} was not trained on drawings of one form")
    images, labels = _test_images(info["model"])
    chosen = np.random.default_rng(SEED).choice(len(images), min(count, len(images)), replace=False)
    classifier = Classifier(folder / model_info.litert_file(info))
    print(f"{len(chosen)} digits of {info['model']:18}resized    in the training's form")
    for name, plain, ours in accuracies(classifier, info["drawn"], images[chosen], labels[chosen]):
        print(f"{name:28}{100 * plain:8.2f} %{100 * ours:8.2f} %", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else IMAGES)
