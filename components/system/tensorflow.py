"""TensorFlow and Keras, imported quietly and set up so that the same seed gives the same bits.

Everything that computes with them calls `tensorflow()` first, and nothing imports them at the top of a module: a
command that needs neither must not spend the seconds and the memory.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from components.system.fast_import import importing


@contextlib.contextmanager
def no_stderr() -> Iterator[None]:
    """Silence file descriptor 2: TensorFlow's C++ parts announce themselves there, past Python's sys.stderr."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


@cache
def tensorflow() -> ModuleType:
    """TensorFlow, silent, on the Keras backend of that name, with deterministic kernels.

    Keras imports scikit-learn, matplotlib and pandas where they are, for its wrappers, galleries and data frames: half
    of the seconds that importing it takes, for what nothing here uses.
    enable_op_determinism: https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's own choice on AVX2 alone is 0: 1.7 times slower
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with no_stderr(), importing("keras", without=("sklearn", "matplotlib", "pandas")):
        import keras
        import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    keras.utils.disable_interactive_logging()
    module: ModuleType = tf
    return module


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* for tf.data to trace as it is.

    AutoGraph would write it anew, and all that it calls, each into a file of the temporary folder; a process that is
    killed, or ends as Airflow's tasks do, leaves them there.
    """
    plain: Callable[..., Any] = tensorflow().autograph.experimental.do_not_convert(function)
    return plain
