"""model.keras: the trained model's own file."""

import shutil
from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    shutil.copyfile(source.file, file)


FORMAT = Format("model.keras", runtime="tensorflow", write=write, exact=True)
