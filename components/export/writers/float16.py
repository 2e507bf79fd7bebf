"""model-float16.tflite: weights stored as float16, half the size; computed in float32, so no faster on a CPU."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    from components.export.conversion.tflite import convert, converter
    from components.system.tensorflow import tensorflow

    tf = tensorflow()
    half = converter(source.saved_model)
    half.optimizations = [tf.lite.Optimize.DEFAULT]
    half.target_spec.supported_types = [tf.float16]
    convert(half, file, source.description)


FORMAT = Format("model-float16.tflite", runtime="litert", write=write, distributions=("ai-edge-litert",))
