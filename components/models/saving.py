"""Save and load a trained model: equal models give equal bytes, and loading one runs no code from the file.

model.keras   zip, entries sorted by name and dated 1980-01-01
  config.json         the layers, without optimizer and loss
  metadata.json       the version of Keras that wrote it; the names of the classes, in the order of the probabilities.
                      In an exported file also what components.artifact_files.ModelDescription lists
  model.weights.h5    the weights, batch normalisation's moving averages among them
"""

import errno
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import ArtifactCorrupt, Unavailable
from components.models.file_bounds import require_sound, require_stored_weights
from components.system.tensorflow import KerasModel, tensorflow

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip entry can hold
METADATA = "metadata.json"


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


def _pack(entries: Mapping[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in entries.items():
            target.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_STORED)


def _with_metadata(metadata: bytes, more: Mapping[str, Any]) -> bytes:
    return json.dumps(json.loads(metadata) | more, indent=2, sort_keys=True).encode() + b"\n"


def copy_model(source: Path, path: Path, metadata: Mapping[str, Any]) -> None:
    """Copy the model file *source* to *path*, with *metadata* added to its own; layers and weights stay as they are."""
    with zipfile.ZipFile(source) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries[METADATA] = _with_metadata(entries[METADATA], metadata)
    _pack(entries, path)


def write_model(model: KerasModel, path: Path, classes: Sequence[str] = ()) -> None:
    """Save *model*, which must not be compiled, to *path*, without anything that differs between processes.

    With the names of its *classes* inside, equal weights that answer other questions are different models.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "model.keras")
        model.save(draft)
        with zipfile.ZipFile(draft) as source:
            entries = {name: _canonical(name, source.read(name)) for name in sorted(source.namelist())}
    if classes:
        entries[METADATA] = _with_metadata(entries[METADATA], {"classes": list(classes)})
    _pack(entries, path)


def read_classes(path: Path) -> list[str] | None:
    """The class names in the model file *path*; None where it has none: an earlier version or another program wrote it.

    Raises ArtifactCorrupt where the file is missing or damaged.
    """
    with reading(path):
        require_sound(path)
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read(METADATA)) if METADATA in archive.namelist() else {}
    names = metadata.get("classes") if isinstance(metadata, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def read_model(path: Path) -> KerasModel:
    """The model in *path*, uncompiled; raises ArtifactCorrupt where the file is missing or damaged.

    Keras' safe mode refuses layers that carry code: https://keras.io/api/models/model_saving_apis/model_saving_and_loading/
    """
    tensorflow()
    import keras

    with reading(path):
        require_sound(path)
        require_stored_weights(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever reading *path* may raise into a failure that names it."""
    try:
        yield
    except MemoryError:
        raise Unavailable(f"there is too little memory to read {path}; free some, and run it again") from None
    except Exception as error:  # of zipfile, zlib, h5py, TensorFlow: damaged bytes can make them raise anything
        if isinstance(error, OSError) and error.errno == errno.EIO:  # the disk's fault; another's has no number
            raise
        if type(error).__name__ == "ResourceExhaustedError":
            raise Unavailable(f"there is too little memory to read {path}; free some, and run it again") from None
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ArtifactCorrupt(f"{path} cannot be read as a Keras model: {reason[0]}") from error
