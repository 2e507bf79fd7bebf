"""model.tflite: float32 weights and arithmetic."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    from components.export.conversion.tflite import convert, converter

    convert(converter(source.saved_model), file, source.description)


FORMAT = Format("model.tflite", runtime="litert", write=write, distributions=("ai-edge-litert",), exact=True)
