"""TFLite Metadata: what Android Studio, MediaPipe and the TFLite Task Library read from the model's own file.

A flatbuffer in the model's buffer TFLITE_METADATA, and the class names as a zip behind the model: unpacking the .tflite
gives labels.txt. Schema (no package that is alive generates it):
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs

    ModelMetadata        0 name, 1 description, 2 version, 3 subgraph_metadata, 7 min_parser_version
    SubGraphMetadata     2 input_tensor_metadata, 3 output_tensor_metadata
    TensorMetadata       0 name, 1 description, 3 content, 4 process_units, 5 stats, 6 associated_files
    Content              0 and 1 content_properties
    ImageProperties      0 color_space, 1 default_size (0 width, 1 height)
    ProcessUnit          0 and 1 options
    NormalizationOptions 0 mean, 1 std
    Stats                0 max, 1 min
    AssociatedFile       0 name, 1 description, 2 type
"""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.artifact_files import ModelDescription
from components.export import labels

BUFFER, IDENTIFIER, PARSER_VERSION = "TFLITE_METADATA", b"M001", "1.0.0"
COLOUR_SPACE = {"RGB": 1, "grey": 2}
FEATURE, IMAGE = 1, 2  # of the union ContentProperties
NORMALIZATION = 1  # of the union ProcessUnitOptions
AXIS_LABELS = 2  # of the enum AssociatedFileType


def add(model: Any, about: ModelDescription) -> None:
    """Put the metadata into *model*, a ModelT of TensorFlow's flatbuffer_utils."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data, entry.name, entry.buffer = list(metadata(about)), BUFFER, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def append_labels(file: Path, about: ModelDescription) -> None:
    """Append a zip with labels.txt to the model *file*; not compressed, as the readers on phones require it."""
    with zipfile.ZipFile(file, "a") as target:
        target.writestr(zipfile.ZipInfo(labels.FILE), labels.text(about["classes"]))


def metadata(about: ModelDescription) -> bytes:
    """The flatbuffer."""
    tables = _Tables()
    subgraph = tables.table({2: tables.tables([_input(tables, about)]), 3: tables.tables([_output(tables, about)])})
    root = tables.table(
        {
            0: tables.text(about["model"]),
            1: tables.text(f"Classifies images into {len(about['classes']):,} classes."),
            2: tables.text(about["version"]),
            3: tables.tables([subgraph]),
            7: tables.text(PARSER_VERSION),
        }
    )
    return tables.finished(root)


def _input(tables: "_Tables", about: ModelDescription) -> int:
    """Raw pixels: the model normalizes them itself."""
    entry = about["input"]
    height, width, _ = entry["shape"]
    size = tables.table({}, {0: width, 1: height})
    image = tables.table({1: size}, enums={0: COLOUR_SPACE[entry["channels"]]})
    normalization = tables.table({0: tables.floats([0.0]), 1: tables.floats([1.0])})
    description = (
        f"pixels 0 to 255, {entry['channels']}; resized with {entry['resize']}, other proportions: {entry['fit']}"
    )
    return tables.table(
        {
            0: tables.text("images"),
            1: tables.text(description),
            3: tables.table({1: image}, enums={0: IMAGE}),
            4: tables.tables([tables.table({1: normalization}, enums={0: NORMALIZATION})]),
            5: tables.table({0: tables.floats([255.0]), 1: tables.floats([0.0])}),
        }
    )


def _output(tables: "_Tables", about: ModelDescription) -> int:
    file = tables.table(
        {0: tables.text(labels.FILE), 1: tables.text("the class of each probability")}, enums={2: AXIS_LABELS}
    )
    return tables.table(
        {
            0: tables.text("probabilities"),
            1: tables.text("of each class"),
            3: tables.table({1: tables.table({})}, enums={0: FEATURE}),
            5: tables.table({0: tables.floats([1.0]), 1: tables.floats([0.0])}),
            6: tables.tables([file]),
        }
    )


class _Tables:
    """A flatbuffer as it grows: inner values first, each known by its offset."""

    def __init__(self) -> None:
        import flatbuffers  # a dependency of TensorFlow

        self._builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def floats(self, values: Sequence[float]) -> int:
        return self._vector(values, self._builder.PrependFloat32)

    def tables(self, offsets: Sequence[int]) -> int:
        return self._vector(offsets, self._builder.PrependUOffsetTRelative)

    def _vector(self, values: Sequence[Any], prepend: Callable[[Any], None]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return int(self._builder.EndVector())

    def table(
        self,
        offsets: Mapping[int, int],
        numbers: Mapping[int, int] | None = None,
        enums: Mapping[int, int] | None = None,
    ) -> int:
        """A table with values by their field: offsets, unsigned numbers, and enumerations of one byte."""
        numbers, enums = numbers or {}, enums or {}
        self._builder.StartObject(1 + max((*offsets, *numbers, *enums), default=-1))
        for field, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(field, offset, 0)
        for field, number in numbers.items():
            self._builder.PrependUint32Slot(field, number, 0)
        for field, number in enums.items():
            self._builder.PrependUint8Slot(field, number, 0)
        return int(self._builder.EndObject())

    def finished(self, root: int) -> bytes:
        self._builder.Finish(root, IDENTIFIER)
        return bytes(self._builder.Output())
