"""A TFLite file written without TensorFlow, in milliseconds: one dense layer and softmax on raw pixels."""

import importlib.util
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers
import numpy as np

SCHEMA = "tensorflow/lite/python/schema_py_generated.py"


@cache
def schema() -> ModuleType:
    """The generated classes of the file format, loaded by path: their package would import all of TensorFlow."""
    for name in ("tensorflow-cpu", "tensorflow"):
        try:
            file = distribution(name).locate_file(SCHEMA)
            break
        except ModuleNotFoundError:
            continue
    spec = importlib.util.spec_from_file_location("tflite_schema", str(file))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def weights(seed: int, pixels: int, classes: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Those of the dense layer, float32 (classes, pixels): other seeds classify otherwise."""
    return np.random.default_rng(seed).normal(0, 0.0003, (classes, pixels)).astype(np.float32)


def write(file: Path, seed: int = 0, shape: tuple[int, ...] = (28, 28, 1), classes: int = 10) -> None:
    """Write a model that takes uint8 *images* of *shape* and returns float32 *probabilities*."""
    s = schema()
    pixels = int(np.prod(shape))
    model = s.ModelT()
    model.version = 3
    types = s.BuiltinOperator
    model.operatorCodes = [_code(s, name) for name in (types.CAST, types.RESHAPE, types.FULLY_CONNECTED, types.SOFTMAX)]
    model.buffers = [s.BufferT() for _ in range(3)]
    model.buffers[1].data = np.frombuffer(np.array([-1, pixels], np.int32).tobytes(), np.uint8)
    model.buffers[2].data = np.frombuffer(weights(seed, pixels, classes).tobytes(), np.uint8)
    kinds = s.TensorType
    tensors = [
        ("images", (1, *shape), kinds.UINT8, 0),
        ("cast", (1, *shape), kinds.FLOAT32, 0),
        ("rows", (2,), kinds.INT32, 1),
        ("flat", (1, pixels), kinds.FLOAT32, 0),
        ("weights", (classes, pixels), kinds.FLOAT32, 2),
        ("logits", (1, classes), kinds.FLOAT32, 0),
        ("probabilities", (1, classes), kinds.FLOAT32, 0),
    ]
    graph = s.SubGraphT()
    graph.tensors = [_tensor(s, *tensor) for tensor in tensors]
    graph.inputs, graph.outputs = [0], [6]
    softmax = s.SoftmaxOptionsT()
    softmax.beta = 1.0
    graph.operators = [
        _operator(s, 0, [0], [1]),
        _operator(s, 1, [1, 2], [3]),
        _operator(s, 2, [3, 4, -1], [5], s.BuiltinOptions.FullyConnectedOptions, s.FullyConnectedOptionsT()),
        _operator(s, 3, [5], [6], s.BuiltinOptions.SoftmaxOptions, softmax),
    ]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    file.write_bytes(bytes(builder.Output()))


def _code(s: Any, operator: int) -> Any:
    code = s.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = operator
    code.version = 1
    return code


def _tensor(s: Any, name: str, shape: tuple[int, ...], kind: int, buffer: int) -> Any:
    tensor = s.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
    return tensor


def _operator(s: Any, code: int, inputs: list[int], outputs: list[int], kind: int = 0, options: Any = None) -> Any:
    operator = s.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator
