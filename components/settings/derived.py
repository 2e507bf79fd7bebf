"""Defaults that follow from the images: the size that they are decoded to, and how a network is trained on them.

A training is given a number of steps, not of epochs: an epoch of 200 images teaches little. Pure functions, standard
library only.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from components.settings.augmentation import AUTO
from components.settings.sections import NO_WEIGHTS, OF_TRAINING, PER_IMAGE, Train

SIDE = 64  # pixels: details that a person needs are mostly gone below it; two cores train on it for a minute or so
KEPT = 1.25  # images of one size are not scaled down for less than this, along each side
BATCHES = ((400, 16), (8_000, 32), (30_000, 64))  # for fewer training images than the first number, the second
SMALL_BATCH, LARGEST_BATCH = 32, 128
STEPS, STEPS_OF_SMALL_BATCHES = 900, 1200
MIN_EPOCHS = 6
MAX_EPOCHS = 150
MAX_CYCLES = 2
RATES = {"onecycle": 0.004, "cosine": 0.002, "plateau": 0.001, "constant": 0.001}  # of Adam
SGD_RATES = 25  # times those of Adam
PATIENCE = 5  # epochs, where the schedule has no end
AUGMENT = "rotate=15,shift=0.1,zoom=0.15"
AUGMENT_LIGHT = "invert=0.5,contrast=0.3,brightness=0.2"
AUGMENT_COLOUR = "hue=0.5"
ANY_COLOUR = 0.1  # a lower skill score of the colours: they say nothing about the class
MAX_ASPECT = 4.0  # width by height of what images are decoded to, or height by width
SQUARE = 1.05  # images of several sizes become square where their aspect ratio is below this


def image_shape(sizes: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    """The (height, width) in pixels to decode the images of a source to, where no setting says it.

    *sizes* counts the files by (height, width). Files of one size keep it up to KEPT times SIDE; otherwise all get the
    median aspect ratio and the median area of the files, but no more than that of a square of SIDE.
    """
    side = _median({size: math.sqrt(size[0] * size[1]) for size in sizes}, sizes)
    if len(sizes) == 1 and side <= KEPT * SIDE:
        return next(iter(sizes))
    aspect = _median({size: size[1] / size[0] for size in sizes}, sizes)
    if len(sizes) > 1 and 1 / SQUARE < aspect < SQUARE:
        aspect = 1.0
    aspect = min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT)
    side = min(side, SIDE)
    return max(1, round(side / math.sqrt(aspect))), max(1, round(side * math.sqrt(aspect)))


@dataclass(frozen=True)
class TrainingImages:
    """What the defaults depend on. *colour_skill* is that of the data.json of normalize, None before it is known."""

    number: int
    channels: int
    colour_skill: float | None


def training(params: Train, images: TrainingImages) -> Train:
    """*params* with a value for each setting that is left open, but for those that an unknown colour skill decides."""
    batch = params.batch_size or max(params.workers, _batch_size(images.number))
    epochs = params.epochs or _epochs(images.number, batch)
    schedule = _schedule(params)
    ends = schedule in ("onecycle", "cosine")
    once = bool(params.epochs) or params.workers > 1 or params.weights != NO_WEIGHTS
    cycles = params.max_cycles or (1 if once else MAX_CYCLES)
    return replace(
        params,
        batch_size=batch,
        epochs=epochs,
        max_cycles=cycles,
        schedule=schedule,
        learning_rate=params.learning_rate or learning_rate(params),
        patience=params.patience or (epochs * cycles if ends else PATIENCE),
        augment=_augment(images) if params.augment == AUTO else params.augment,
        standardize=_standardize(images) if params.standardize == AUTO else params.standardize,
    )


def _augment(images: TrainingImages) -> str:
    """Small movements; and light and colour as they come, where the class does not depend on them."""
    if images.colour_skill is None:
        return AUTO
    if images.colour_skill >= ANY_COLOUR:
        return AUGMENT
    return ",".join([AUGMENT, AUGMENT_LIGHT, *([AUGMENT_COLOUR] if images.channels > 1 else [])])


def _standardize(images: TrainingImages) -> str:
    if images.colour_skill is None:
        return AUTO
    return OF_TRAINING if images.colour_skill >= ANY_COLOUR else PER_IMAGE


def learning_rate(params: Train) -> float:
    """The rate of a training that sets none, by its schedule and its optimizer."""
    return RATES[_schedule(params)] * (SGD_RATES if params.optimizer == "sgd" else 1)


def plan(params: Train, images: int, shape: Sequence[int]) -> str:
    """How *params*, in which nothing is left open, train on *images* images of *shape*, as a sentence."""
    height, width, channels = shape
    steps = params.epochs * math.ceil(images / params.batch_size)
    more = f", and up to {params.max_cycles} times as many while that helps" if params.max_cycles > 1 else ""
    return (
        f"{images:,} training images of {width}x{height}x{channels}: batches of {params.batch_size}, "
        f"{params.epochs} epoch{'s' * (params.epochs != 1)}, {steps:,} step{'s' * (steps != 1)}{more}"
    )


def _schedule(params: Train) -> str:
    if params.schedule != AUTO:
        return params.schedule
    return "cosine" if params.warmup else "onecycle"


def _batch_size(images: int) -> int:
    return next((size for below, size in BATCHES if images < below), LARGEST_BATCH)


def _epochs(images: int, batch: int) -> int:
    """Enough epochs for a cycle's steps, within MIN_EPOCHS and MAX_EPOCHS."""
    return min(max(math.ceil(steps(batch) * batch / max(images, 1)), MIN_EPOCHS), MAX_EPOCHS)


def steps(batch: int) -> int:
    """The steps of a cycle with batches of *batch* images."""
    return STEPS if batch >= SMALL_BATCH else STEPS_OF_SMALL_BATCHES


def _median(values: Mapping[tuple[int, int], float], counts: Mapping[tuple[int, int], int]) -> float:
    """The lower median of *values*, each of which occurs as often as *counts* says."""
    half, so_far = sum(counts.values()) / 2, 0
    for size in sorted(values, key=values.__getitem__):
        so_far += counts[size]
        if so_far >= half:
            return values[size]
    raise ValueError("there are no images")
