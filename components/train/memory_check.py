"""Check before the first training step that it fits into memory; if not, name the largest batch that does.

Where memory is overcommitted, a process that takes too much is killed silently, so waiting for the error of
TensorFlow's allocator is not enough; `explained` turns that error into the same message where it does come.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from components.errors import ConfigError
from components.formatting import size
from components.models.complexity import element_count, graph
from components.system.tensorflow import KerasModel, tensorflow

STATES = 4  # values per weight: itself, its gradient, and Adam's two averages
FLOAT32 = 4  # bytes
# operations that TensorFlow computes in place, or not at all
IN_PLACE = ("Cast", "Const", "Identity", "NoOp", "Placeholder", "ReadVariableOp", "Reshape", "Shape", "StridedSlice")


def check(model: KerasModel, batch_size: int, free: int) -> None:
    """Raise ConfigError where a step of *model* on *batch_size* images takes more than *free* bytes of memory."""
    if (images := image_bytes(model)) * batch_size + weight_bytes(model) > free:
        raise _too_large(model, images, batch_size, free)


@contextmanager
def explained(model: KerasModel, batch_size: int, free: int) -> Iterator[None]:
    """Raise the ConfigError of `check` where TensorFlow runs out of memory in the block."""
    try:
        yield
    except (tensorflow().errors.ResourceExhaustedError, MemoryError) as error:
        raise _too_large(model, image_bytes(model), batch_size, free) from error


def image_bytes(model: KerasModel) -> int:
    """The memory of one more image in the batch: all that the forward pass computes, kept for the backward pass.

    In seven of ten measurements, of cnn_bn and tiny, the peak of a step less that of a step on 8 images was 0.7 to 1.2
    times this; small batches in bfloat16 took up to 2.5 times.
    """
    operations = (op for op in graph(model, training=True).get_operations() if op.type not in IN_PLACE)
    return sum(element_count(tensor.shape) * int(tensor.dtype.size) for op in operations for tensor in op.outputs)


def weight_bytes(model: KerasModel) -> int:
    return STATES * FLOAT32 * int(model.count_params())


def _too_large(model: KerasModel, images: int, batch_size: int, free: int) -> ConfigError:
    fits = (free - weight_bytes(model)) // images
    if fits >= batch_size:  # the estimate was wrong
        fits = batch_size // 2
    advice = f"set train.batch_size={fits} or less" if fits >= 1 else "choose a smaller train.model or train.width"
    step = images * batch_size + weight_bytes(model)
    return ConfigError(
        f"train.batch_size is {batch_size}: a step on that many images takes about {size(step)} of memory, and "
        f"{size(free)} are free; {advice}"
    )
