"""model-int8.tflite: 8-bit integers from end to end; weights and activations int8, biases int32."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    from components.export.conversion.tflite import write_int8

    write_int8(source.saved_model, file, source.calibration, source.description)


FORMAT = Format(
    "model-int8.tflite",
    runtime="litert",
    write=write,
    distributions=("ai-edge-litert",),
    quantized=True,
    remedy="calibrate its ranges on more images: --set export.calibration_images=2000",
)
