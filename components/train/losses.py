"""Training losses: cross-entropy on class numbers or one-hot labels, distillation, and the loss of each image.

With a teacher, the labels of training are float32 (B, 2, classes): one-hot rows, then the teacher's probabilities.
"""

from collections.abc import Callable

from components.data.labels import uses_one_hot
from components.settings.sections import Train
from components.system.tensorflow import Tensor
from components.train.distillation import divergence

Loss = Callable[[Tensor, Tensor], Tensor]  # of labels and predictions


def loss(params: Train) -> Loss:
    """The loss to compile a model with; labels are as `uses_one_hot` says."""
    import keras

    if params.teacher:
        return lambda labels, predictions: _distillation_loss(labels, predictions, params)
    cross_entropy: Loss = (
        keras.losses.CategoricalCrossentropy(label_smoothing=params.label_smoothing)
        if uses_one_hot(params)
        else keras.losses.SparseCategoricalCrossentropy()
    )
    return cross_entropy


def accuracy(params: Train) -> object:
    """The metric to compile a model with, called accuracy."""
    import keras

    if not params.teacher:
        return "accuracy"
    return keras.metrics.MeanMetricWrapper(
        lambda labels, predictions: keras.metrics.categorical_accuracy(_split(labels)[0], predictions), name="accuracy"
    )


def per_image_loss(params: Train) -> Loss:
    """A function (labels, predictions) -> the loss of each image, (B,)."""
    reduced = loss(params)
    return getattr(reduced, "call", reduced)  # Keras' losses reduce what `call` returns


def per_image_accuracy(params: Train) -> Loss:
    """A function (labels, predictions) -> 1.0 for each image whose most likely class is right, else 0.0, (B,)."""
    import keras

    if not uses_one_hot(params):
        sparse: Loss = keras.metrics.sparse_categorical_accuracy
        return sparse
    return lambda labels, predictions: keras.metrics.categorical_accuracy(_split(labels)[0], predictions)


def _distillation_loss(labels: Tensor, predictions: Tensor, params: Train) -> Tensor:
    """The loss of each image, (B,): the teacher's and the labels' weighted; in validation the labels' alone."""
    import keras

    one_hot, teacher = _split(labels)
    hard = keras.losses.categorical_crossentropy(one_hot, predictions, label_smoothing=params.label_smoothing)
    if teacher is None:
        return hard
    soft = divergence(teacher, predictions, params.temperature)
    return params.distill_weight * soft + (1 - params.distill_weight) * hard


def _split(labels: Tensor) -> tuple[Tensor, Tensor | None]:
    """The one-hot rows, and the teacher's probabilities where *labels* hold them."""
    return (labels[:, 0], labels[:, 1]) if len(labels.shape) == 3 else (labels, None)
