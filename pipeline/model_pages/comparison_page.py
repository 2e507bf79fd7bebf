"""The page that compares two versions of a model: figures, what they were made with, the images gained and lost."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import side_by_side
from pipeline.model_comparison import ChangedImage, ModelComparison
from pipeline.model_pages.rendering import page

if TYPE_CHECKING:
    from components.data.splits import Split

MOST_SHOWN = 24  # images of each kind; `python -m pipeline compare A B --json` names all


@dataclass(frozen=True)
class Shown:
    """A test image as a PNG data URI."""

    changed: ChangedImage
    uri: str


@dataclass(frozen=True)
class Gallery:
    """Images that only one of the two classifies correctly; *more* are not shown."""

    title: str
    images: Sequence[Shown]
    more: int


def render(found: ModelComparison, models: str = "") -> str:
    """The page; *models* is the address of the page of all models, if there is one."""
    sides = found.before, found.after
    return page(
        "comparison.html.j2",
        name=found.after.version.name,
        titles=list(map(side_by_side.title, sides)),
        rows=list(side_by_side.rows(*sides)),
        comparison=found.paired.comparison if found.paired else None,
        galleries=list(_galleries(found)),
        worse=side_by_side.worse_classes(found),
        changes=found.changes,
        models=models,
    )


def _galleries(found: ModelComparison) -> Iterator[Gallery]:
    if found.paired:
        from components.data.splits import Split

        test = Split(found.after.measured.artifacts["normalize"].path / "test")
        for side, images in ((found.after, found.paired.gained), (found.before, found.paired.lost)):
            shown = [Shown(changed, uri) for changed, uri in zip(images, _pictures(test, images), strict=False)]
            heading = f"Only version {side.version.version} classifies these correctly"
            yield Gallery(heading, shown, len(images) - len(shown))


def _pictures(test: "Split", images: Sequence[ChangedImage]) -> Iterator[str]:
    """The first MOST_SHOWN of *images*, as PNG data URIs."""
    import numpy as np

    from components.data.pictures.encoding import png

    for pixels in test.take(np.array([changed.image.position for changed in images[:MOST_SHOWN]], np.int64)):
        yield "data:image/png;base64," + base64.b64encode(png(pixels)).decode()
