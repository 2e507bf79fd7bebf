"""TensorFlow and Keras, imported quietly and set up so that the same seed gives the same bits.

Everything that computes with them calls `tensorflow()` first, and no module imports them at its top, so that a command
that needs neither does not spend the seconds and the memory.
"""

import os
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from components.system.fast_import import importing
from components.system.processor import cores
from components.system.streams import no_stderr

THREADS = "TF_NUM_INTRAOP_THREADS"  # TensorFlow's own variable; in effect from its import on

# Neither library has annotations that mypy could check, and both are imported late: these names say what is meant.
Tensor = Any  # tf.Tensor, or Keras' symbolic one
Variable = Any  # tf.Variable or keras.Variable
Dataset = Any  # tf.data.Dataset
KerasModel = Any  # keras.Model
Layer = Any  # keras.Layer
Optimizer = Any  # keras.optimizers.Optimizer
Callback = Any  # keras.callbacks.Callback


@cache
def tensorflow() -> ModuleType:
    """TensorFlow, silent, as the backend of Keras, with deterministic kernels.

    Keras imports scikit-learn, matplotlib and pandas where they are installed, for features that nothing here uses:
    they take half of the seconds of its import.
    enable_op_determinism: https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's default on AVX2 alone is 0: 1.7 times slower
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with no_stderr(), importing("keras", without=("sklearn", "matplotlib", "pandas")):
        import keras
        import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # what it warns of is advice for programmers: functions traced again, old layouts
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get(THREADS) or 0) or cores())
    for setting, value in {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}.items():
        getattr(keras.config, f"set_{setting}")(value)  # whatever ~/.keras/keras.json says: it is in no key
    keras.utils.disable_interactive_logging()
    module: ModuleType = tf
    return module


def use_threads(count: int) -> None:
    """Compute in *count* threads: the last bits of a training's sums depend on it, not on the number of cores.

    Raises RuntimeError where this process has computed in another number already; the variable THREADS prevents that.
    """
    threading = tensorflow().config.threading
    if threading.get_intra_op_parallelism_threads() != count:
        threading.set_intra_op_parallelism_threads(count)


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* for tf.data to trace as it is.

    AutoGraph would rewrite it, and each function that it calls, into a file in the temporary folder; a process that is
    killed, or ends as Airflow's tasks do, leaves those files there.
    """
    plain: Callable[..., Any] = tensorflow().autograph.experimental.do_not_convert(function)
    return plain
