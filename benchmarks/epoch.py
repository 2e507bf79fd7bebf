"""The time of an epoch: in the pipeline, or in a plain Keras `fit` of the same network.

python -m benchmarks.epoch MNIST_DIR IMAGES [SETTING...]: trains on IMAGES images for two epochs, without validation,
and prints the seconds of the second, as the first one traces. The settings are the defaults for MNIST and each
SETTING, such as train.augment=none. `plain` instead is an ordinary `fit`: TensorFlow with its defaults, scaled float32
arrays, batches of 64.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.mnist import first_images
from components.data.splits import Split
from pipeline import config

CLASSES, EPOCHS = 10, 2
Epoch = Callable[[int], Any]


def main(folder: Path, images: int, settings: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        split = first_images(folder, Path(name) / "train", images)
        epoch = plain(split) if settings == ["plain"] else ours(split, settings)
        taken = [seconds(epoch, number) for number in range(EPOCHS)]
    print(taken[-1])


def plain(split: Split) -> Epoch:
    """An epoch of `fit` on arrays."""
    from benchmarks.plain_keras import MEAN, STD, compiled

    pixels = (split.images().astype("float32") / 255 - MEAN) / STD
    labels, model = split.labels, compiled()
    return lambda _: model.fit(pixels, labels, batch_size=64, verbose=0)


def ours(split: Split, settings: Sequence[str]) -> Epoch:
    """An epoch as the stage `train` runs it, without its output."""
    from components.data.input_pipeline import InputPipeline
    from components.system.tensorflow import tensorflow
    from components.train.network import ImageProperties, untrained_network
    from components.train.train_state import create_train_state

    tensorflow()
    params = config.load("", [*settings, f"train.epochs={EPOCHS}"], "mnist").train
    pipeline = InputPipeline(split, CLASSES, params)
    data: ImageProperties = {
        "shape": list(split.shape),
        "classes": list(map(str, range(CLASSES))),
        "mean": [0.1307],
        "std": [0.3081],
    }
    network = untrained_network(data, params, params.precision)
    model = create_train_state(network, params, pipeline.steps).model
    return lambda number: model.fit(pipeline.training(number), steps_per_epoch=pipeline.steps, shuffle=False, verbose=0)


def seconds(epoch: Epoch, number: int) -> float:
    start = time.perf_counter()
    epoch(number)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
