"""Distillation: a network learns from a trained one, its teacher, how sure to be of every class.

G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network, 2015: arXiv:1503.02531. The teacher sees
the very images, augmented, that the student sees, in the feed; validation stays cross-entropy with the true labels.
Keras' Distiller is not used: it softens logits where our networks end in probabilities, and keeps the teacher among the
weights that are saved and resumed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from components.models.saving import read_model
from components.system.tensorflow import tensorflow

Teacher = Callable[[Any], Any]
TINY = 1e-7  # the least probability in a logarithm, as Keras has it


def teacher(file: Path, shape: Sequence[int], classes: int) -> Teacher:
    """A function from uint8 images (B, H, W, C) to the probabilities (B, classes) of the model in *file*.

    Raises ConfigError where it is made for images of another *shape* or another number of classes.
    """
    model = read_model(file)
    model.trainable = False
    theirs = tuple(model.input_shape[1:]), model.output_shape[-1]
    if theirs != (tuple(shape), classes):
        raise ConfigError(
            f"the teacher takes images of {theirs[0]} and knows {theirs[1]} classes; expected {tuple(shape)} and "
            f"{classes}, as the images have; choose another train.teacher (python -m pipeline models)"
        )
    return lambda images: model(images, training=False)


def soften(probabilities: Any, temperature: float) -> Any:
    """Logarithms of what the probabilities (B, classes) would be, had the logits been divided by *temperature*."""
    tf = tensorflow()
    return tf.nn.log_softmax(tf.math.log(tf.clip_by_value(probabilities, TINY, 1.0)) / temperature)


def divergence(teacher: Any, student: Any, temperature: float) -> Any:
    """T^2 KL(teacher_T || student_T) of each image, (B,): the factor keeps the gradient's size where T changes."""
    theirs, ours = soften(teacher, temperature), soften(student, temperature)
    return temperature**2 * tensorflow().reduce_sum(tensorflow().exp(theirs) * (theirs - ours), axis=-1)
