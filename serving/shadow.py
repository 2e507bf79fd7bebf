"""The challenger answers a share of the requests too, unseen: how often it disagrees bounds the harm it could do.

Of *n* images with *d* disagreements, the accuracy of the two differs by at most d/n, whatever the labels; with 95 %
confidence by at most the upper bound of that share.
"""

import random

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.proportions import upper_bound
from serving.champion import Champion
from serving.loaded_model import LoadedModel


class Shadow:
    """Counts of one pair of versions; another pair begins at nothing. `compare` is called by one background thread."""

    def __init__(self, challenger: Champion, share: float) -> None:
        self.challenger, self.share = challenger, share
        self.pair = ("", "")  # champion and challenger
        self.images = self.disagreements = 0

    def samples(self) -> bool:
        """Whether the request that is being answered is one that the challenger answers too."""
        return self.share > 0 and random.random() < self.share  # noqa: S311 - a sample, no secret

    def compare(self, images: Images, answers: NDArray[np.int64], model: LoadedModel) -> list[bool]:
        """For each image whether the challenger agrees; nothing where there is none, or it is of another kind."""
        other = self.challenger.model
        if other is None or other.version == model.version:
            return []
        if (other.shape, other.classes) != (model.shape, model.classes):
            return []
        agrees = other.probabilities(images).argmax(axis=1) == answers
        if self.pair != (model.version, other.version):
            self.pair, self.images, self.disagreements = (model.version, other.version), 0, 0
        self.images += len(agrees)
        self.disagreements += int(len(agrees) - agrees.sum())
        return [bool(agree) for agree in agrees]

    @property
    def bound(self) -> float:
        """The share of disagreements that is not exceeded with a confidence of 95 %; 1 before the first image."""
        return upper_bound(self.disagreements, self.images) if self.images else 1.0
