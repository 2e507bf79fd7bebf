"""Published models without a training: a folder of exports/, and a TFLite file that is assembled in milliseconds.

The model classifies pictures by their mean brightness: "bright" from mid-grey upwards, "dark" below, "never" never.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from components.artifact_files import MODEL_INFO, InputInfo, ModelInfo
from components.data.splits import Images
from components.models.prediction import Probabilities
from components.registry import readers
from components.registry.exports import SHA256_TAG
from components.registry.model_version import ModelVersion

CLASSES = ("dark", "bright", "never")
GAIN = 20.0
NAME = "brightness"


def expected(images: Images) -> Probabilities:
    """What the model answers for *images*, uint8 (n, H, W, C)."""
    mean = images.mean(axis=(1, 2, 3)) * (2 / 255) - 1
    logits = np.stack([-GAIN * mean, GAIN * mean, np.full(len(mean), -30.0)], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cast("Probabilities", (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32))


def tflite(shape: Sequence[int] = (4, 4, 1), gain: float = GAIN) -> bytes:
    pixels = int(np.prod(shape))
    weights = np.tile(np.array([[-1], [1], [0]], np.float32) * np.float32(2 * gain / 255 / pixels), (1, pixels))
    return dense(shape, weights, np.array([gain, -gain, -30], np.float32))


def dense(shape: Sequence[int], weights: NDArray[np.float32], biases: NDArray[np.float32]) -> bytes:
    """uint8 (n, H, W, C) -> cast -> flat -> dense -> softmax, as a TFLite file; *weights* are (classes, pixels)."""
    classes, pixels = weights.shape
    model = _Model()
    images = model.tensor("images", schema.TensorType.UINT8, (1, *shape), (-1, *shape))
    floats = model.tensor("floats", schema.TensorType.FLOAT32, (1, *shape), (-1, *shape))
    flat = model.tensor("flat", schema.TensorType.FLOAT32, (1, pixels), (-1, pixels))
    target = model.constant("target", schema.TensorType.INT32, np.array([-1, pixels], np.int32))
    kernel = model.constant("kernel", schema.TensorType.FLOAT32, weights)
    bias = model.constant("bias", schema.TensorType.FLOAT32, biases)
    logits = model.tensor("logits", schema.TensorType.FLOAT32, (1, classes), (-1, classes))
    answer = model.tensor("probabilities", schema.TensorType.FLOAT32, (1, classes), (-1, classes))
    model.operator("CAST", [images], [floats])
    model.operator("RESHAPE", [floats, target], [flat])
    model.operator("FULLY_CONNECTED", [flat, kernel, bias], [logits], schema.FullyConnectedOptionsT())
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    model.operator("SOFTMAX", [logits], [answer], softmax)
    return model.packed([images], [answer])


class _Model:
    """A TFLite model of one graph, operator by operator."""

    def __init__(self) -> None:
        self._model, self._graph = schema.ModelT(), schema.SubGraphT()
        self._model.version, self._model.subgraphs = 3, [self._graph]
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._graph.tensors, self._graph.operators = [], []

    def tensor(self, name: str, kind: int, shape: Sequence[int], signature: Sequence[int] = (), buffer: int = 0) -> int:
        """A tensor, by its number; -1 in its *signature* is any size."""
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = name, kind, buffer
        tensor.shape, tensor.shapeSignature = list(shape), list(signature or shape)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, name: str, kind: int, values: "np.ndarray[Any, Any]") -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return self.tensor(name, kind, values.shape, buffer=len(self._model.buffers) - 1)

    def operator(self, name: str, inputs: list[int], outputs: list[int], options: Any = None) -> None:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 1
        self._model.operatorCodes.append(code)
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if options:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self._graph.operators.append(operator)

    def packed(self, inputs: list[int], outputs: list[int]) -> bytes:
        self._graph.inputs, self._graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(4096)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def info(shape: Sequence[int] = (4, 4, 1), version: str = "1", name: str = NAME) -> ModelInfo:
    """model_info.json of such a model, before its files are listed."""
    inputs: InputInfo = {
        "shape": list(shape),
        "channels": "grey" if shape[-1] == 1 else "RGB",
        "fit": "pad",
        "resize": "lanczos",
    }
    return {
        "model": name,
        "version": version,
        "model_sha256": "0" * 64,
        "classes": list(CLASSES),
        "input": inputs,
        "drawn": None,
        "accuracy": 0.75,
        "wilson_low": 0.7,
        "wilson_high": 0.79,
        "n": 300,
        "signature": {"inputs": "images", "outputs": "probabilities"},
        "formats": {"tflite": {"path": "model.tflite", "accuracy": 0.75}},
        "files": {},
    }


def publish(
    exports: Path, version: str = "1", shape: Sequence[int] = (4, 4, 1), name: str = NAME, gain: float = GAIN
) -> str:
    """Publish such a model as *version* below *exports*; the sha256 of its model_info.json, for the registry's tag."""
    levels = np.linspace(0, 255, 8).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (len(levels), *shape))
    return publish_model(exports, info(shape, version, name), tflite(shape, gain), images, expected(images))


def publish_model(exports: Path, content: ModelInfo, model: bytes, images: Images, probabilities: Probabilities) -> str:
    """Publish any *model*, with *images* and their *probabilities* as canaries; returns what `publish` does."""
    name, version = content["model"], content["version"]
    folder = exports / name / version
    folder.mkdir(parents=True)
    np.savez(folder / "canaries.npz", images=images, probabilities=probabilities)
    (folder / "model.tflite").write_bytes(model)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in content["classes"]))
    (folder / "README.md").write_text(f"# {name}, version {version}\n")
    for path in folder.iterdir():
        data = path.read_bytes()
        content["files"][path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    (folder / MODEL_INFO).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def register(home: Path, *versions: ModelVersion) -> None:
    """A database in *home* that holds *versions*, with what the pipeline reads of MLflow's tables and nothing else."""
    with closing(sqlite3.connect(home / "mlflow.db")) as connection, connection:
        for table, columns in readers.COLUMNS.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(sorted(columns))})")
        for name in {version.name for version in versions}:
            connection.execute("INSERT INTO registered_models (name, workspace) VALUES (?, 'default')", [name])
        for version in versions:
            _insert(connection, version)


def _insert(connection: sqlite3.Connection, version: ModelVersion) -> None:
    where = (version.name, int(version.version), "default")
    connection.execute(
        "INSERT INTO model_versions (name, version, workspace, run_id, source, creation_time, current_stage) "
        "VALUES (?, ?, ?, '', '', 0, 'None')",
        where,
    )
    for alias in version.aliases:
        connection.execute(
            "INSERT INTO registered_model_aliases (name, version, workspace, alias) VALUES (?, ?, ?, ?)",
            [*where, alias],
        )
    for key, value in version.tags.items():
        connection.execute(
            "INSERT INTO model_version_tags (name, version, workspace, key, value) VALUES (?, ?, ?, ?, ?)",
            [*where, key, value],
        )


def champion(home: Path, shape: Sequence[int] = (4, 4, 1)) -> None:
    """Publish such a model in *home* and register it as version 1, the champion."""
    tags = {SHA256_TAG: publish(home / "exports", shape=shape)}
    register(home, ModelVersion(NAME, "1", ("champion",), tags))
