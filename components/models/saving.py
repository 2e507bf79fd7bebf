"""Save and load a trained model: equal models give equal bytes, and loading one runs no code from the file.

model.keras   zip, entries sorted by name and dated 1980-01-01
  config.json         the layers, without optimizer and loss
  metadata.json       the version of Keras that wrote it
  model.weights.h5    the weights, batch normalisation's moving averages among them
"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt
from components.system.tensorflow import KerasModel, tensorflow

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip entry can hold


def _canonical(name: str, content: bytes) -> bytes:
    """A JSON entry without its date, and with Keras' ids of shared objects, addresses in memory, counted from 0."""
    if not name.endswith(".json"):
        return content
    numbers: dict[int, int] = {}

    def renumber(entry: dict[str, Any]) -> dict[str, Any]:
        if (address := entry.get("shared_object_id")) is not None:
            entry["shared_object_id"] = numbers.setdefault(address, len(numbers))
        return entry

    document = json.loads(content, object_hook=renumber)
    document.pop("date_saved", None)
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def write_model(model: KerasModel, path: Path) -> None:
    """Save *model*, which must not be compiled, to *path*, without anything that differs between processes."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "model.keras")
        model.save(draft)
        with zipfile.ZipFile(draft) as source:
            entries = {name: _canonical(name, source.read(name)) for name in sorted(source.namelist())}
    with zipfile.ZipFile(path, "w") as target:
        for name, content in entries.items():
            target.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_STORED)


def read_model(path: Path) -> KerasModel:
    """The model in *path*, uncompiled; raises ArtifactCorrupt where the file is missing or damaged.

    Keras' safe mode refuses layers that carry code: https://keras.io/api/models/model_saving_apis/model_saving_and_loading/
    """
    tensorflow()
    import keras

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ArtifactCorrupt(f"{path} cannot be read as a Keras model: {reason[0]}") from error
