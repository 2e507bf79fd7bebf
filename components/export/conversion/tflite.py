"""TFLite files, converted from a SavedModel.

All take what a camera or an image decoder delivers, uint8 (N, H, W, C) 0..255, so an app can swap one file for another
without changing how it reads images. The integer files take these pixels as they are (scale 1, zero point 0) and return
uint8 (N, classes), probability times 256: no float enters or leaves, as some accelerators have nothing else. The other
files return float32.
Each holds TFLite Metadata (components.export.conversion.tflite_metadata).
Quantisation: https://ai.google.dev/edge/litert/models/post_training_integer_quant
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.artifact_files import ModelDescription
from components.data.splits import Split
from components.errors import ExportRejected
from components.export.conversion import tflite_metadata
from components.system.streams import no_stderr
from components.system.tensorflow import tensorflow

MISSING = re.compile(r'"([^"]+)"\]\): \'(tf\.\w+)\' op is neither a custom op nor a flex op')


def converter(saved_model: Path, signature: str = "serving_default") -> Any:
    """TensorFlow's converter of one signature of *saved_model*; without further options it keeps the arithmetic."""
    return tensorflow().lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[signature])


def write_int8(saved_model: Path, file: Path, images: NDArray[np.uint8], about: ModelDescription) -> None:
    """Quantise weights and activations; *images* (n, H, W, C), from training, set the ranges of the activations."""
    tf = tensorflow()
    integer = converter(saved_model, "serving_float")
    integer.optimizations = [tf.lite.Optimize.DEFAULT]
    integer.representative_dataset = lambda: _representative(images)
    integer.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    integer.inference_input_type = integer.inference_output_type = tf.uint8
    convert(integer, file, about)


def calibration_images(train: Split, count: int) -> NDArray[np.uint8]:
    """*count* images evenly spaced in the split sorted by class: each class in proportion, the same ones every time."""
    order = np.argsort(train.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64)
    return train.take(order[places])


def _representative(images: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """One image at a time, as the converter expects them, then the last one with a pixel of 0 and one of 255.

    Only where both ends occur does the scale of the input become 1, so that raw pixels need no conversion.
    """
    ends = images[-1:].copy()
    ends.flat[ends.argmin()], ends.flat[ends.argmax()] = 0, 255
    for image in (*images, ends[0]):
        yield {"images": image[np.newaxis].astype(np.float32)}


def convert(converter: Any, file: Path, about: ModelDescription) -> None:
    """Convert in silence to *file*, which says what it is *about*.

    Raises ExportRejected with the operation that TFLite lacks.
    """
    from tensorflow.lite.python.convert import ConverterError

    with warnings.catch_warnings():
        # TensorFlow calibrates with the interpreter that it calls deprecated itself
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        try:
            with no_stderr():
                converted: bytes = converter.convert()
        except (ConverterError, RuntimeError, ValueError) as error:
            raise ExportRejected(_reason(str(error), file)) from error
    model = _plain(converted)
    tflite_metadata.add(model, about)
    file.write_bytes(_written(model))
    tflite_metadata.append_labels(file, about)


def _reason(message: str, file: Path) -> str:
    missing = sorted({f"{operation} ({place})" for place, operation in MISSING.findall(message)})
    what = f"TFLite has no {', '.join(missing)}" if missing else " ".join(message.split())[:300]
    return (
        f"the network cannot be written as {file.name}: {what}; choose formats that can hold it, such as "
        "--set export.formats=saved_model,keras"
    )


def _plain(converted: bytes) -> Any:
    """TensorFlow's ModelT of *converted*, without names of tensors but `images`, the input, and `probabilities`.

    The names would be 2 % of the int8 file of the default network (87,080 bytes with them, 85,408 without), and more of
    a smaller one. Input and output have no signature of their shape: they are for one image, and can be resized for
    more. With a signature of -1 images, LiteRT.js (2.5) accepts no tensor at all.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(converted))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = None
    main = model.subgraphs[0]
    for index, name in ((main.inputs[0], "images"), (main.outputs[0], "probabilities")):
        main.tensors[index].name, main.tensors[index].shapeSignature = name, None
    return model


def _written(model: Any) -> bytes:
    from tensorflow.lite.tools import flatbuffer_utils

    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
