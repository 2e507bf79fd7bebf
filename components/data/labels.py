"""Labels in training: class numbers or one-hot rows, and how much each class counts."""

import numpy as np
from numpy.typing import NDArray

from components.settings.sections import Train


def uses_one_hot(params: Train) -> bool:
    """Whether the loss takes one-hot labels: label smoothing (arXiv:1512.00567) and distillation need them."""
    return params.loss == "one_hot" or params.label_smoothing > 0 or bool(params.teacher)


def class_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The weight of an image of each class: N / (K * n_c), float32 (classes,), so that the mean over images is 1.

    G. King, L. Zeng, Logistic regression in rare events data, 2001; scikit-learn's class_weight="balanced".
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)
