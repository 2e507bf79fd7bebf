"""The baseline of the profiles: the plain CNN of common tutorials, trained until it stops early.

python -m benchmarks.tutorial MNIST_DIR SEED: 32 and 64 filters of 3x3, dropout 0.5, Adam, batches of 64, float32, up
to 20 epochs, EarlyStopping with a patience of 3 on a tenth of the training images. The network is that of
https://keras.io/examples/vision/mnist_convnet/ (F. Chollet, 2015).
"""

import json
import sys
import time
from pathlib import Path

import keras
from keras import layers

from benchmarks.mnist import read

PARTS = ("train", "t10k")


def main(folder: Path, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    images = {part: read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1) for part in PARTS}
    labels = {part: read(folder / f"{part}-labels-idx1-ubyte.gz", 8) for part in PARTS}
    pixels = {part: array.astype("float32") / 255 for part, array in images.items()}
    start = time.perf_counter()
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    history = model.fit(
        *(pixels["train"], labels["train"]),
        batch_size=64,
        epochs=20,
        validation_split=0.1,
        callbacks=[stop],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    _, accuracy = model.evaluate(pixels["t10k"], labels["t10k"], verbose=0)
    facts = {"accuracy": accuracy, "seconds": seconds, "epochs": len(history.epoch)}
    facts |= {"validation_accuracy": history.history["val_accuracy"][stop.best_epoch]}
    print(json.dumps(facts | {"parameters": model.count_params()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
