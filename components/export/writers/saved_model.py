"""saved_model/: TensorFlow's SavedModel, float32."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source
from components.system.files import copy_folder


def write(source: Source, folder: Path) -> None:
    copy_folder(source.saved_model, folder)


FORMAT = Format("saved_model", runtime="tensorflow", write=write, exact=True)
