"""What helps to decide about an image: the probabilities that the model gives, and the training images like it."""

from contextlib import suppress
from functools import cached_property

import numpy as np

from components.data.splits import Images, Split
from components.errors import ArtifactCorrupt, ArtifactMissing
from components.inference import model_info
from components.inference.classifier import Classifier
from components.models.prediction import Probabilities
from pipeline.review.images import Place
from pipeline.review.neighbours import Neighbour, Neighbours
from pipeline.review.queue import Item
from pipeline.review.subject import Subject

NEIGHBOURS = 8


class Evidence:
    """From the artifacts of *subject*; any thread may ask."""

    def __init__(self, subject: Subject) -> None:
        self._folders = subject.folders
        train = Split(subject.folders["ingest"] / "train")
        self.shape = train.shape
        self._neighbours = Neighbours(train)

    def probabilities(self, place: Place | None, pixels: Images) -> Probabilities | None:
        """Of a test image as evaluate predicted them, of any other by the exported file; None where there is none."""
        if place and place.split == "test":
            of_image: Probabilities = self._predictions[place.position]
            return of_image
        if self._classifier is None or pixels.shape != self.shape:
            return None
        row: Probabilities = self._classifier.probabilities(pixels[None])[0]
        return row

    def nearest(self, item: Item, pixels: Images) -> list[Neighbour]:
        """The training images nearest to *pixels*, without those of *item* itself."""
        own = [copy.position for copy in item.copies if copy.split == "train"]
        return self._neighbours.of(pixels, NEIGHBOURS, own) if pixels.shape == self.shape else []

    @cached_property
    def _predictions(self) -> Probabilities:
        predictions: Probabilities = np.load(self._folders["evaluate"] / "predictions.npy", allow_pickle=False)
        return predictions

    @cached_property
    def _classifier(self) -> Classifier | None:
        """The exported model; None where the run exported none that LiteRT runs, or it is gone."""
        folder = self._folders.get("export")
        with suppress(ArtifactMissing, ArtifactCorrupt):
            return Classifier(folder / model_info.litert_file(model_info.read(folder))) if folder else None
        return None
