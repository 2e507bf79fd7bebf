"""TFLite files, converted from the exported SavedModel.

    model.tflite        uint8 pixels in, float32 arithmetic, float32 probabilities out
    model-int8.tflite   uint8 pixels in, 8-bit integer arithmetic throughout, uint8 probabilities out (times 1/256)

Both take what a camera or a decoded picture holds, uint8 (N, H, W, C) 0..255, so an app can swap one file for the other
without touching how it reads images; the output of int8 stays integer because some accelerators have nothing else.
Quantisation: https://ai.google.dev/edge/litert/models/post_training_integer_quant
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.backend import no_stderr, tensorflow
from components.splits import Split


def write_float(saved_model: Path, file: Path) -> None:
    """Convert without changing the arithmetic."""
    file.write_bytes(_convert(_converter(saved_model, "serving_default")))


def write_int8(saved_model: Path, file: Path, images: NDArray[np.uint8]) -> None:
    """Quantise weights and activations; *images* (n, H, W, C), from training, set the ranges of the activations."""
    tf = tensorflow()
    converter = _converter(saved_model, "serving_float")
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    file.write_bytes(_convert(converter))


def calibration_images(train: Split, count: int) -> NDArray[np.uint8]:
    """*count* images evenly spaced in the split sorted by class: each class by its share, the same ones every time."""
    order = np.argsort(train.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64)
    return train.take(order[places])


def _representative(images: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """One image at a time, as the converter wants them.

    The last one again with a pixel of 0 and one of 255: only when both ends were seen does the input's scale become 1,
    and raw pixels mean what they say.
    """
    ends = images[-1:].copy()
    ends.flat[ends.argmin()], ends.flat[ends.argmax()] = 0, 255
    for image in (*images, ends[0]):
        yield {"images": image[np.newaxis].astype(np.float32)}


def _converter(saved_model: Path, signature: str) -> Any:
    return tensorflow().lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[signature])


def _convert(converter: Any) -> bytes:
    """Convert in silence; what fails is raised, with the converter's own words."""
    with warnings.catch_warnings():
        # the calibration inside TensorFlow uses the interpreter that TensorFlow itself calls outdated
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        with no_stderr():
            converted: bytes = converter.convert()
    return converted
