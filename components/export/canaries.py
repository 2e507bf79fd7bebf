"""canaries.npz: test images with the answers that were measured, by which a server knows that it runs the same model.

images           uint8 (k, H, W, C), at most 32 of the test split, each class at least once where there is room
probabilities    float32 (k, classes), as the file gave them that `components.export.formats.served` names
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Labels, Split
from components.models.prediction import Probabilities

MOST = 32


def write_canaries(test: Split, probabilities: Probabilities, file: Path) -> None:
    """Write *file*; *probabilities* (N, classes) are those of every image of *test*."""
    chosen = choose(test.labels)
    np.savez(file, images=test.take(chosen), probabilities=probabilities[chosen])


def choose(labels: Labels) -> NDArray[np.int64]:
    """The indices of the canaries, in order: one image of each class, then others, evenly spaced."""
    firsts = np.sort(np.unique(labels, return_index=True)[1])
    others = np.setdiff1d(np.arange(len(labels)), firsts)
    kept = _spaced(firsts, MOST)
    return np.sort(np.concatenate([kept, _spaced(others, MOST - len(kept))]))


def _spaced(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """*count* of the *indices*, evenly spaced; all of them where there are no more."""
    places = np.linspace(0, len(indices) - 1, count) if count < len(indices) else np.arange(len(indices))
    return indices[places.round().astype(np.int64)]
