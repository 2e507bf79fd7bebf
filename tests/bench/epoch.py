"""How long an epoch takes: in the pipeline, or in a plain Keras `fit` of the same network.

python -m tests.bench.epoch MNIST_DIR KIND: trains on 30,000 images for two epochs, without validation, and prints the
seconds of the second, as the first one traces. KIND is one of

    plain       `fit` as one writes it: TensorFlow as it comes, scaled float32 arrays, batches of 64
    default     what MNIST is trained with, augmentation included
    bare        the same without augmentation
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from components.params import RECIPES, Train
from components.splits import Split
from tests.bench.mnist import first_images

IMAGES, CLASSES, EPOCHS = 30_000, 10, 2
Epoch = Callable[[int], Any]


def main(folder: Path, kind: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        epoch = KINDS[kind](first_images(folder, Path(name) / "train", IMAGES))
        taken = [seconds(epoch, number) for number in range(EPOCHS)]
    print(taken[-1])


def plain(split: Split) -> Epoch:
    """An epoch of `fit` on arrays."""
    from tests.bench.plain_keras import MEAN, STD, compiled

    pixels = (split.images().astype("float32") / 255 - MEAN) / STD
    labels, model = split.labels, compiled()
    return lambda _: model.fit(pixels, labels, batch_size=64, verbose=0)


def ours(split: Split, **changed: Any) -> Epoch:
    """An epoch as the stage `train` runs it, but for what it says and keeps; *changed* are settings of the recipe."""
    from components.backend import tensorflow
    from components.batches import Feed
    from components.learner import learner, network, resolve

    tensorflow()
    recipe = {name.partition(".")[2]: value for name, value in RECIPES["mnist"].items()}
    params = Train(**recipe | {"epochs": EPOCHS} | changed)
    feed = Feed(split, CLASSES, params)
    data = {"shape": split.shape, "classes": range(CLASSES), "mean": [0.1307], "std": [0.3081]}
    model = learner(network(data, params, resolve(params.precision)), params, feed.steps).model
    return lambda number: model.fit(feed.training(number), steps_per_epoch=feed.steps, shuffle=False, verbose=0)


KINDS: dict[str, Callable[[Split], Epoch]] = {"plain": plain, "bare": partial(ours, augment=""), "default": ours}


def seconds(epoch: Epoch, number: int) -> float:
    start = time.perf_counter()
    epoch(number)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
