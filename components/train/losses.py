"""What training makes small: cross-entropy, on class numbers or on one-hot labels, and how much each image counts.

With a teacher, labels are float32 (B, 2, classes) in training: rows of one 1, then the teacher's probabilities.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.settings.sections import Train
from components.train.distillation import divergence


def one_hot(params: Train) -> bool:
    """Whether the loss wants labels as rows of one 1; label smoothing (arXiv:1512.00567) and distillation have to."""
    return params.loss == "one_hot" or params.label_smoothing > 0 or bool(params.teacher)


def loss(params: Train) -> Any:
    """The loss as Keras compiles it; labels come as `one_hot` says."""
    import keras

    if params.teacher:
        return lambda labels, found: _distilled(labels, found, params)
    if one_hot(params):
        return keras.losses.CategoricalCrossentropy(label_smoothing=params.label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy()


def accuracy(params: Train) -> Any:
    """The share of right answers as Keras compiles it, called accuracy."""
    import keras

    if not params.teacher:
        return "accuracy"
    return keras.metrics.MeanMetricWrapper(
        lambda labels, found: keras.metrics.categorical_accuracy(_split(labels)[0], found), name="accuracy"
    )


def each(params: Train) -> Any:
    """A function (labels, found) -> the loss of each image, (B,)."""
    given = loss(params)
    return getattr(given, "call", given)  # what Keras' losses take the mean of


def hits(params: Train) -> Any:
    """A function (labels, found) -> 1.0 for each image whose most likely class is right, else 0.0, (B,)."""
    import keras

    if not one_hot(params):
        return keras.metrics.sparse_categorical_accuracy
    return lambda labels, found: keras.metrics.categorical_accuracy(_split(labels)[0], found)


def _distilled(labels: Any, found: Any, params: Train) -> Any:
    """The loss of each image, (B,): the teacher's share and that of the labels; of the labels alone in validation."""
    import keras

    truth, teacher = _split(labels)
    given = keras.losses.categorical_crossentropy(truth, found, label_smoothing=params.label_smoothing)
    if teacher is None:
        return given
    wise = divergence(teacher, found, params.temperature)
    return params.distill_weight * wise + (1 - params.distill_weight) * given


def _split(labels: Any) -> tuple[Any, Any]:
    """The one-hot rows and the teacher's probabilities; the latter None where the feed did not ask the teacher."""
    return (labels[:, 0], labels[:, 1]) if len(labels.shape) == 3 else (labels, None)


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """What an image of each class counts for: N / (K * n_c), float32 (classes,), so that the mean over images is 1.

    G. King, L. Zeng, Logistic regression in rare events data, 2001; scikit-learn's class_weight="balanced".
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)
