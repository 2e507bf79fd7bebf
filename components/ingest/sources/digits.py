"""The 1,797 handwritten digits of scikit-learn, 8 x 8 in 17 greys, enlarged to 28 x 28: a source without a network.

Bicubic, since nearest-neighbour enlargement costs a plain CNN a point of accuracy.
Data: https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from components.ingest.reading.image_source import ImageSource
from components.settings.sections import Ingest
from components.system.distributions import version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from components.data.splits import Images, Labels

SOURCE = "digits"
UNUSED = ("labels", "file_column", "label_column", "split_column", "test_share")
FILE = "datasets/data/digits.csv.gz"  # in scikit-learn: a digit a line, its 64 pixels row by row, then its class
SIDE = 28
TEST_IMAGES = 36  # per class, a fifth
SEED = 0


def serves(source: str) -> bool:
    return source == SOURCE


def fingerprint(params: Ingest, cache: Path) -> str:
    """The library that holds the digits, and the one that enlarges them."""
    versions = (f"{library} {version(library)}" for library in ("scikit-learn", "pillow"))
    return f"digits of {', '.join(versions)}"


def read(params: Ingest, cache: Path) -> ImageSource:
    """All digits, with a fixed fifth of each class as the test split."""
    import numpy as np

    rows = np.loadtxt(_file(), dtype=np.int64, delimiter=",")
    images, labels = _enlarged(rows[:, :-1].reshape(-1, 8, 8)), rows[:, -1]
    test = _test_images(labels)
    return ImageSource(
        classes=[str(digit) for digit in range(10)],
        shape=(SIDE, SIDE, 1),
        images=len(labels),
        blocks=((split, images[chosen], labels[chosen]) for split, chosen in (("train", ~test), ("test", test))),
        fingerprint=lambda: fingerprint(params, Path()),
        origin="scikit-learn",
    )


def _file() -> Path:
    """Located without the two seconds that importing scikit-learn takes."""
    library = find_spec("sklearn")
    return Path(str(library and library.origin)).parent / FILE


def _test_images(labels: "Labels") -> "NDArray[np.bool_]":
    """Which images are in the test split, (N,): the same number from each class, chosen at random."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        test[rng.choice(np.flatnonzero(labels == label), TEST_IMAGES, replace=False)] = True
    return test


def _enlarged(small: "NDArray[np.int64]") -> "Images":
    """*small*, int64 (N, 8, 8) with values 0..16, as uint8 (N, 28, 28, 1) with values 0..255."""
    import numpy as np
    from PIL import Image

    pixels = np.rint(small * (255 / 16)).astype(np.uint8)
    size = (SIDE, SIDE)
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in pixels])[
        ..., None
    ]
