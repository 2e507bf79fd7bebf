"""What training makes small: cross-entropy, on class numbers or on one-hot labels, and how much each image counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.params import Train


def one_hot(params: Train) -> bool:
    """Whether the loss wants labels as rows of one 1; label smoothing (arXiv:1512.00567) has to."""
    return params.loss == "one_hot" or params.label_smoothing > 0


def loss(params: Train) -> Any:
    """The loss as Keras compiles it; labels come as `one_hot` says."""
    import keras

    if one_hot(params):
        return keras.losses.CategoricalCrossentropy(label_smoothing=params.label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy()


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """What an image of each class counts for: N / (K * n_c), float32 (classes,), so that the mean over images is 1.

    G. King, L. Zeng, Logistic regression in rare events data, 2001; scikit-learn's class_weight="balanced".
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)
