"""TensorFlow says nothing that a user of the pipeline could not act upon."""

from logging.handlers import MemoryHandler

from components.system.tensorflow import tensorflow


def test_advice_for_programmers_is_not_printed() -> None:
    """Such as that a function is often traced again, as happens where several networks are trained in one process."""
    tf, handler = tensorflow(), MemoryHandler(100)
    tf.get_logger().addHandler(handler)
    try:
        for number in range(12):
            tf.function(lambda value: value)(number)
    finally:
        tf.get_logger().removeHandler(handler)
    assert handler.buffer == []
