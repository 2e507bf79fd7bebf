"""model.keras: the trained model's own file, in which the names of model and version are added."""

from pathlib import Path

from components.export.formats import Format
from components.export.source import Source


def write(source: Source, file: Path) -> None:
    from components.models.saving import copy_model

    copy_model(source.file, file, dict(source.description))


FORMAT = Format("model.keras", runtime="tensorflow", write=write, exact=True)
