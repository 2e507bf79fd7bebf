"""The baseline of the pipeline: a script that loads MNIST, trains the same network, evaluates and saves it.

python -m benchmarks.plain_keras MNIST_DIR EPOCHS SEED OUT: written by hand, without this project.
"""

import json
import sys
from pathlib import Path

import keras
from keras import layers

from benchmarks.mnist import read

MEAN, STD = 0.1307, 0.3081  # of the training pixels, in units of 1/255


def compiled() -> keras.Model:
    """The network of `components.models.architectures.cnn_bn`, written by hand and compiled."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(24, 5, use_bias=False),
            layers.MaxPooling2D(),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(48, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(48, 3, use_bias=False),
            layers.MaxPooling2D(),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(96, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalMaxPooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(folder: Path, epochs: int, seed: int, out: Path) -> None:
    keras.utils.set_random_seed(seed)
    images = {
        part: read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1) for part in ("train", "t10k")
    }
    labels = {part: read(folder / f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k")}
    pixels = {part: (array.astype("float32") / 255 - MEAN) / STD for part, array in images.items()}
    model = compiled()
    model.fit(pixels["train"], labels["train"], batch_size=128, epochs=epochs, validation_split=0.1, verbose=0)
    _, accuracy = model.evaluate(pixels["t10k"], labels["t10k"], verbose=0)
    model.save(out / "model.keras")
    print(json.dumps({"accuracy": accuracy}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
