"""The 1,797 handwritten digits inside scikit-learn, 8 x 8 in 17 greys, enlarged to 28 x 28: no network, for trying out.

Bicubic enlargement: nearest-neighbour blocks cost a plain CNN a point of accuracy.
Data: https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
"""

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from components.params import Ingest
from components.sources.contents import Contents

if TYPE_CHECKING:
    from components.splits import Images

SIDE = 28
TEST_IMAGES = 360
SEED = 0


def fingerprint(params: Ingest, cache: Path) -> str:
    """The library that holds the digits, and the one that enlarges them."""
    versions = (f"{library} {metadata.version(library)}" for library in ("scikit-learn", "pillow"))
    return f"digits of {', '.join(versions)}"


def read(params: Ingest) -> Contents:
    """All digits, with a fixed stratified fifth to test on."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images, labels = _enlarged(digits.images), digits.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST_IMAGES, stratify=labels, random_state=SEED)
    return Contents(
        classes=[str(digit) for digit in range(10)],
        shape=(SIDE, SIDE, 1),
        images=len(labels),
        blocks=((s, images[chosen], labels[chosen]) for s, chosen in (("train", train), ("test", test))),
        fingerprint=lambda: fingerprint(params, Path()),
        facts={"from": "scikit-learn"},
    )


def _enlarged(small: "Images") -> "Images":
    """*small* (N, 8, 8) with values 0..16, as uint8 (N, 28, 28, 1) with values 0..255."""
    import numpy as np
    from PIL import Image

    pixels = np.rint(small * (255 / 16)).astype(np.uint8)
    size = (SIDE, SIDE)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in pixels])[
        ..., None
    ]
