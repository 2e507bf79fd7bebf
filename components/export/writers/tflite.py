"""TFLite files, converted from the exported SavedModel.

    model.tflite          float32 weights and arithmetic
    model-float16.tflite  weights stored as float16, half the size; computed in float32, so no faster on a CPU
    model-dynamic.tflite  weights int8; each layer quantises its input as it comes and gives float32
    model-int8.tflite     8-bit integers from end to end: weights and activations int8, biases int32
    model-pruned.tflite   the same of a network most of whose weights are 0 (components.export.pruning)

All take what a camera or a decoded picture holds, uint8 (N, H, W, C) 0..255, so an app can swap one file for another
without touching how it reads images. The integer files take these pixels as they are (scale 1, zero point 0) and give
uint8 (N, classes), probability times 256: no float enters or leaves, as some accelerators have nothing else. The other
files give float32. Tensors between input and output have no names: in a network of 10,000 weights these would be a
fifteenth of the file.
Quantisation: https://ai.google.dev/edge/litert/models/post_training_integer_quant
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.splits import Split
from components.errors import ExportRejected
from components.system.tensorflow import no_stderr, tensorflow

MISSING = re.compile(r'"([^"]+)"\]\): \'(tf\.\w+)\' op is neither a custom op nor a flex op')


def write_float(saved_model: Path, file: Path) -> None:
    """Convert without changing the arithmetic."""
    _write(_converter(saved_model, "serving_default"), file)


def write_float16(saved_model: Path, file: Path) -> None:
    """Round the weights to float16, 11 significant bits."""
    tf = tensorflow()
    converter = _converter(saved_model, "serving_default")
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    _write(converter, file)


def write_dynamic(saved_model: Path, file: Path) -> None:
    """Quantise the weights alone; the ranges of the activations are found while the file runs."""
    converter = _converter(saved_model, "serving_default")
    converter.optimizations = [tensorflow().lite.Optimize.DEFAULT]
    _write(converter, file)


def write_int8(saved_model: Path, file: Path, images: NDArray[np.uint8]) -> None:
    """Quantise weights and activations; *images* (n, H, W, C), from training, set the ranges of the activations."""
    tf = tensorflow()
    converter = _converter(saved_model, "serving_float")
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representative(images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    _write(converter, file)


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


def _write(converter: Any, file: Path) -> None:
    """Convert in silence to *file*; raises ExportRejected with the operation that TFLite does not have."""
    from tensorflow.lite.python.convert import ConverterError

    with warnings.catch_warnings():
        # the calibration inside TensorFlow uses the interpreter that TensorFlow itself calls outdated
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        try:
            with no_stderr():
                converted: bytes = converter.convert()
        except (ConverterError, RuntimeError, ValueError) as error:
            raise ExportRejected(_refusal(str(error), file)) from error
    file.write_bytes(_nameless(converted))


def _refusal(said: str, file: Path) -> str:
    missing = sorted({f"{operation} ({place})" for place, operation in MISSING.findall(said)})
    what = f"TFLite has no {', '.join(missing)}" if missing else " ".join(said.split())[:300]
    return f"the network cannot be written as {file.name}: {what}; take formats that can hold it, such as " + (
        "--set export.formats=saved_model,keras"
    )


def _nameless(converted: bytes) -> bytes:
    """The same model with the names of its tensors gone, but for what goes in and what comes out."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(converted))
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = None
    main = model.subgraphs[0]
    main.tensors[main.inputs[0]].name, main.tensors[main.outputs[0]].name = "images", "probabilities"
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
