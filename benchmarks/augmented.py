"""The cost of augmentation: epochs with every kind of it and epochs without, interleaved, in one training.

python -m benchmarks.augmented MNIST_DIR ROUNDS: trains the network cnn_bn on 10,000 images in batches of 128 and
prints {"plain": [seconds], "augmented": [seconds]} of epochs without validation.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.mnist import first_images
from components.data.input_pipeline import InputPipeline
from components.models import build
from components.models.config import ModelConfig
from components.settings.augmentation import KINDS
from components.settings.sections import Train
from components.system.tensorflow import tensorflow
from components.train.machine import settled

IMAGES = 10_000


def main(folder: Path, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        split = first_images(folder, Path(name) / "train", IMAGES)
        pipelines = [InputPipeline(split, 10, Train(epochs=rounds + 1, augment=text)) for text in ("", ",".join(KINDS))]
        seconds = epoch_seconds(pipelines, rounds)
    print(json.dumps({"plain": seconds[2::2], "augmented": seconds[3::2]}))  # the first round warms up


def epoch_seconds(pipelines: list[InputPipeline], rounds: int) -> list[float]:
    """The seconds of each epoch, on each of *pipelines* in turn; one round more than *rounds*."""
    tf = tensorflow()
    import keras

    steps, seconds, epochs = pipelines[0].steps, list[float](), len(pipelines) * (rounds + 1)
    turns = tf.data.Dataset.range(epochs * steps).map(lambda step: step // steps % len(pipelines))
    interleaved = tf.data.Dataset.choose_from_datasets([pipeline.training(0) for pipeline in pipelines], turns)
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: seconds.append(-time.perf_counter()),
        on_epoch_end=lambda *_: seconds.append(seconds.pop() + time.perf_counter()),
    )
    model = _model()
    model.fit(interleaved, epochs=epochs, steps_per_epoch=steps, shuffle=False, callbacks=[clock], verbose=0)
    return seconds


def _model() -> Any:
    config = ModelConfig((28, 28, 1), 10, dropout=0.4)
    model = build.build("cnn_bn", config, mean=[0.1307], std=[0.3081], precision=settled(Train()).precision)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
