"""Knowledge distillation: a network learns the class probabilities of a trained one, its teacher.

G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network, 2015: arXiv:1503.02531. The teacher gets
the same augmented images as the student, in the input pipeline; validation uses cross-entropy with the true labels.
Keras' Distiller is not used: it softens logits, where these networks end in probabilities, and it keeps the teacher
among the weights that are saved and restored.
"""

from collections.abc import Sequence

from components.data.classes import ClassChange, quoted
from components.data.input_pipeline import Teacher
from components.errors import ConfigError
from components.models.saving import read_classes, read_model
from components.system.tensorflow import Tensor, tensorflow
from components.train.task import TeacherFile

OTHER = "choose another train.teacher (python -m pipeline models)"
EPSILON = 1e-7  # the smallest probability in a logarithm, as in Keras


def read_teacher(file: TeacherFile, shape: Sequence[int], classes: Sequence[str]) -> Teacher:
    """A function from uint8 images (B, H, W, C) to the probabilities (B, classes) of the model in *file*.

    The probabilities are in the order of *classes*, whatever the order of the model's own. Raises ConfigError where the
    model takes images of another *shape*, or does not know just these classes.
    """
    model = read_model(file.path)
    model.trainable = False
    takes, known = tuple(model.input_shape[1:]), read_classes(file.path) or file.classes
    if takes != tuple(shape):
        raise ConfigError(f"the teacher takes images of {takes}, expected {tuple(shape)}; {OTHER}")
    if not known or len(known) != model.output_shape[-1]:
        raise ConfigError(f"the names of the teacher's {model.output_shape[-1]} classes are unknown; {OTHER}")
    if change := ClassChange.between(known, classes):
        raise ConfigError(f"the teacher {_difference(change)}; {OTHER}")
    columns = [list(known).index(name) for name in classes]
    return lambda images: tensorflow().gather(model(images, training=False), columns, axis=1)


def _difference(change: ClassChange) -> str:
    """What the teacher's classes lack, and what they have too much."""
    lacks = [f"does not know {quoted(change.added)}"] if change.added else []
    return " and ".join(lacks + ([f"knows {quoted(change.removed)} too"] if change.removed else []))


def soften(probabilities: Tensor, temperature: float) -> Tensor:
    """The log-probabilities (B, classes) that the logits of *probabilities*, divided by *temperature*, would give."""
    tf = tensorflow()
    return tf.nn.log_softmax(tf.math.log(tf.clip_by_value(probabilities, EPSILON, 1.0)) / temperature)


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher_T || student_T) of each image, (B,): the factor keeps the gradient's size where T changes."""
    soft_teacher, soft_student = soften(teacher, temperature), soften(student, temperature)
    difference = tensorflow().exp(soft_teacher) * (soft_teacher - soft_student)
    return temperature**2 * tensorflow().reduce_sum(difference, axis=-1)
