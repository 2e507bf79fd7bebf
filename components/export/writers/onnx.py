"""model.onnx: float32, for whatever is not TensorFlow."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    from components.export.conversion.onnx import write_onnx

    write_onnx(source.saved_model, file, source.description)


FORMAT = Format(
    "model.onnx", runtime="onnxruntime", write=write, distributions=("tf2onnx", "onnx", "onnxruntime"), exact=True
)
