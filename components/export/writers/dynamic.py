"""model-dynamic.tflite: weights int8; each layer quantises its input at run time and returns float32."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    from components.export.conversion.tflite import convert, converter
    from components.system.tensorflow import tensorflow

    dynamic = converter(source.saved_model)
    dynamic.optimizations = [tensorflow().lite.Optimize.DEFAULT]
    convert(dynamic, file, source.description)


FORMAT = Format("model-dynamic.tflite", runtime="litert", write=write, distributions=("ai-edge-litert",))
