"""Random images as artifacts of ingest and validate, for tests of what reads them."""

import json
from pathlib import Path

import numpy as np

from components.artifact_files import Statistics
from components.data.splits import Images, Labels, SplitWriter
from components.findings import Finding
from components.settings.sections import Validate
from components.validate.check import check
from components.validate.stage import validate

Part = tuple[Images, Labels]
CLASSES = ["c0", "c1", "c2"]


def random_images(count: int, classes: int = 3, shape: tuple[int, int, int] = (6, 5, 1), seed: int = 0) -> Part:
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, np.arange(count) % classes


def ingested(folder: Path, train: Part, test: Part, classes: list[str] | None = None) -> Path:
    shape = train[0].shape[1:]
    for name, (images, labels) in (("train", train), ("test", test)):
        with SplitWriter(folder / name, shape) as out:
            out.add(images, labels)
    source = {"source": "folder", "name": "things", "classes": classes or CLASSES, "shape": shape}
    (folder / "source.json").write_text(json.dumps(source), encoding="utf-8")
    return folder


def validated(folder: Path, ingest: Path) -> Path:
    out = folder / "validated"
    out.mkdir(parents=True)
    validate(ingest, out)
    return out


def statistics_of(out: Path) -> Statistics:
    content: Statistics = json.loads((out / "statistics.json").read_text(encoding="utf-8"))
    return content


def checked(
    folder: Path, train: Part, test: Part, params: Validate | None = None, champion: Statistics | None = None
) -> list[Finding]:
    return check(validated(folder, ingested(folder / "in", train, test)), params or Validate(), champion)
