"""saved_model/: TensorFlow's SavedModel, float32."""

import shutil
from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, folder: Path) -> None:
    shutil.copytree(source.saved_model, folder)


FORMAT = Format("saved_model", runtime="tensorflow", write=write, exact=True)
