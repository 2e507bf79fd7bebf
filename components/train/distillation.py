"""Knowledge distillation: a network learns the class probabilities of a trained one, its teacher.

G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network, 2015: arXiv:1503.02531. The teacher gets
the same augmented images as the student, in the input pipeline; validation uses cross-entropy with the true labels.
Keras' Distiller is not used: it softens logits, where these networks end in probabilities, and it keeps the teacher
among the weights that are saved and restored.
"""

from collections.abc import Sequence
from pathlib import Path

from components.data.input_pipeline import Teacher
from components.errors import ConfigError
from components.models.saving import read_model
from components.system.tensorflow import Tensor, tensorflow

EPSILON = 1e-7  # the smallest probability in a logarithm, as in Keras


def read_teacher(file: Path, shape: Sequence[int], classes: int) -> Teacher:
    """A function from uint8 images (B, H, W, C) to the probabilities (B, classes) of the model in *file*.

    Raises ConfigError where the model takes images of another *shape* or has another number of *classes*.
    """
    model = read_model(file)
    model.trainable = False
    takes = tuple(model.input_shape[1:]), model.output_shape[-1]
    if takes != (tuple(shape), classes):
        raise ConfigError(
            f"the teacher takes images of {takes[0]} and has {takes[1]} classes; expected {tuple(shape)} and "
            f"{classes}, as the images have; choose another train.teacher (python -m pipeline models)"
        )
    return lambda images: model(images, training=False)


def soften(probabilities: Tensor, temperature: float) -> Tensor:
    """The log-probabilities (B, classes) that the logits of *probabilities*, divided by *temperature*, would give."""
    tf = tensorflow()
    return tf.nn.log_softmax(tf.math.log(tf.clip_by_value(probabilities, EPSILON, 1.0)) / temperature)


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher_T || student_T) of each image, (B,): the factor keeps the gradient's size where T changes."""
    soft_teacher, soft_student = soften(teacher, temperature), soften(student, temperature)
    difference = tensorflow().exp(soft_teacher) * (soft_teacher - soft_student)
    return temperature**2 * tensorflow().reduce_sum(difference, axis=-1)
