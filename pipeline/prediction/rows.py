"""Rows: what a model answers for each picture, in order."""

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from components.artifact_files import ModelInfo
from components.data.splits import Images
from components.inference.classifier import BATCH_SIZE, Classifier
from components.models.prediction import Probabilities
from components.public_text import public
from components.system.processor import cores
from pipeline.prediction.reading import Block, Name, Source

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

DIGITS = 6  # of a probability
PART = 4 * BATCH_SIZE  # images that a thread takes at once


class Guess(NamedTuple):
    """A class, and how probable the model says it is."""

    name: str
    probability: float


class Row(NamedTuple):
    """The most probable classes of a picture, the first one first; of one that cannot be read, why not."""

    file: str
    number: int | None
    guesses: list[Guess]
    error: str = ""

    @property
    def picture(self) -> Name:
        """As messages call it."""
        return Name(self.file, self.number)


class Predictor:
    """Answers with the *top* most probable classes; counts pictures, and the seconds of reading and of inference."""

    def __init__(self, classifier: Classifier, info: ModelInfo, top: int) -> None:
        self._classifier, self._info, self._top = classifier, info, top
        self.reading = self.inference = 0.0
        self.count = self.errors = 0  # pictures, and those that cannot be read
        self.converted = 0  # those that are grey where the model takes colours, or the other way round

    def rows(self, sources: Sequence[Source], start: int) -> Iterator[list[Row]]:
        """The rows of all *sources* together from number *start* on, a block at a time."""
        for source in sources:
            if start < len(source):
                blocks = source.blocks(self._info, start)
                while block := self._next(blocks):
                    self.count += len(block.names)
                    self.errors += len(block.names) - len(block.images)
                    self.converted += block.converted
                    yield self._answered(block)
            start = max(0, start - len(source))

    def _next(self, blocks: Iterator[Block]) -> Block | None:
        began = time.perf_counter()
        block = next(blocks, None)
        self.reading += time.perf_counter() - began
        return block

    def _answered(self, block: Block) -> list[Row]:
        began = time.perf_counter()
        guesses = iter(self._guesses(self._probabilities(block.images)))
        self.inference += time.perf_counter() - began
        return [
            Row(public(name.file), name.number, [] if problem else next(guesses), public(problem))
            for name, problem in zip(block.names, block.problems, strict=True)
        ]

    def _probabilities(self, images: Images) -> Probabilities:
        if len(images) <= PART:
            return self._classifier.probabilities(images)
        parts = [images[at : at + PART] for at in range(0, len(images), PART)]
        return np.concatenate(list(self._threads.map(self._classifier.probabilities, parts)))

    @cached_property
    def _threads(self) -> "ThreadPoolExecutor":
        """One for each core; a few pictures need none."""
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(cores())

    def _guesses(self, probabilities: Probabilities) -> list[list[Guess]]:
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._top]
        values = np.take_along_axis(probabilities, order, axis=1).astype(float).round(DIGITS)
        names = self._info["classes"]
        return [
            [Guess(names[label], value) for label, value in zip(labels, row, strict=True)]
            for labels, row in zip(order.tolist(), values.tolist(), strict=True)
        ]
