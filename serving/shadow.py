"""The challenger answers a share of the requests too, unseen: how often it disagrees bounds the harm it could do.

Of *n* images with *d* disagreements, the accuracy of the two differs by at most d/n, whatever the labels; with 95 %
confidence by at most the upper bound of that share.
"""

import random
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images
from components.inference import shadow_counts
from components.inference.shadow_counts import ShadowCounts
from components.progress import say
from serving.champion import Champion
from serving.loaded_model import LoadedModel

STORE_SECONDS = 30.0


class Shadow:
    """Counts of one pair of versions; another pair begins at nothing. `compare` is called by one background thread.

    What was counted is added to the files in *folder* every STORE_SECONDS, by that thread, and at the end.
    """

    def __init__(self, challenger: Champion, share: float, folder: Path) -> None:
        self.challenger, self.share = challenger, share
        self.pair = ("", "")  # champion and challenger
        self.images = self.disagreements = 0
        self._folder, self._stored, self._store_at, self._problem = folder, ShadowCounts(0, 0), 0.0, ""

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
            self.store()
            self.pair, self.images, self.disagreements = (model.version, other.version), 0, 0
            self._stored = ShadowCounts(0, 0)
        self.images += len(agrees)
        self.disagreements += int(len(agrees) - agrees.sum())
        if time.monotonic() >= self._store_at:
            self.store()
        return [bool(agree) for agree in agrees]

    @property
    def counts(self) -> ShadowCounts:
        return ShadowCounts(self.images, self.disagreements)

    def store(self) -> None:
        """Add what was counted since the last time to the files; a disk that takes nothing is reported once."""
        fresh = ShadowCounts(self.images - self._stored.images, self.disagreements - self._stored.disagreements)
        if not fresh.images:
            return
        self._store_at = time.monotonic() + STORE_SECONDS
        try:
            shadow_counts.add(self._folder, self.challenger.name, *self.pair, fresh)
        except OSError as error:
            problem = f"what the challenger answered cannot be stored in {self._folder} ({error.strerror})"
            if problem != self._problem:
                say(problem)
            self._problem = problem
        else:
            self._stored, self._problem = self.counts, ""
