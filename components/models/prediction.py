"""Predictions for a whole split, batch by batch: the one way for every model, wherever it runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Images, Split

BATCH_SIZE = 1024

Probabilities = NDArray[np.float32]
Predictor = Callable[[Images], Probabilities]  # uint8 (n, H, W, C) -> probabilities, float32 (n, classes)


def predict(model: Predictor, split: Split, batch_size: int = BATCH_SIZE, label: str = "") -> Probabilities:
    """Probabilities, float32 (N, classes), of every image of *split* in order; a *label* shows the progress."""
    return np.concatenate([model(images) for images, _ in split.blocks(batch_size, label)])


def keras_predictor(model: Any) -> Predictor:
    """*model*, a Keras model, as a predictor; keep a reference to the model, whose weights it reads.

    Traced once for any batch size; Keras' own predict_on_batch traces again for each size that it has not met.
    """
    from components.system.tensorflow import tensorflow

    tf = tensorflow()
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    traced = tf.function(lambda batch: model(batch, training=False), autograph=False).get_concrete_function(images)

    def predictor(batch: Images) -> Probabilities:
        probabilities: Probabilities = traced(tf.constant(batch)).numpy()
        return probabilities

    return predictor
