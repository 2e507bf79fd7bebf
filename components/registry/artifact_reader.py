"""Files among a version's artifacts, read without MLflow's client where that is possible.

file:///...            a folder of this machine: copied
mlflow-artifacts:/...  what the registry's server keeps: fetched from it, GET /api/2.0/mlflow-artifacts/artifacts
anything else          MLflow's client, as where `readers` needs it: a bucket has credentials of its own
"""

import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from components.registry import model_files, readers, rest
from components.registry.model_version import ModelVersion
from components.registry.readers import Unknown
from components.system.files import copy_folder

ARTIFACTS = "mlflow-artifacts/artifacts"
DEEPEST = 16  # folders in one another
LARGEST = 2**36  # bytes of a file whose size the server does not say
HEADERS = 2**17  # bytes before a file


def fetch(uri: str, version: ModelVersion, path: str, folder: Path) -> Path | None:
    """Copy the file or folder *path* among the artifacts of *version* into *folder*; None where it is not there.

    Raises Unknown where only MLflow's client can do it, and OSError.
    """
    if source := model_files.folder_of(version.source):
        return _copied(source / path, folder)
    place = urlsplit(version.source)
    if readers.is_database(uri) or place.scheme != "mlflow-artifacts" or place.netloc:
        raise Unknown(version.source)
    wanted = PurePosixPath(unquote(place.path).lstrip("/"), path)
    entries, copy = _entries(uri, wanted.parent), folder / wanted.name
    if wanted.name not in entries:
        return None
    _download_entry(uri, wanted, entries[wanted.name], copy, DEEPEST)
    return copy


def _copied(source: Path, folder: Path) -> Path | None:
    copy = folder / source.name
    if source.is_dir():
        return copy_folder(source, copy)
    return Path(shutil.copyfile(source, copy)) if source.is_file() else None


def _entries(uri: str, folder: PurePosixPath) -> dict[str, int | None]:
    """The name of each entry of *folder*, and its size, None for a folder; nothing where there is none."""
    try:
        with rest.response(uri, ARTIFACTS, path=str(folder)) as response:
            files = json.load(response).get("files", [])
            entries = {str(file["path"]): None if file.get("is_dir") else _size(file) for file in files}
    except rest.Absent:
        return {}
    except (AttributeError, LookupError, TypeError):
        raise OSError(f"not a response of MLflow for {ARTIFACTS}") from None
    for name in entries:
        if name in ("", ".", "..") or "/" in name or not name.isprintable():
            raise OSError(f"MLflow lists an artifact that no file here can have the name of: {name!r}")
    return entries


def _size(file: dict[str, Any]) -> int:
    """The size of *file* in bytes; a server may keep its artifacts where it does not know that."""
    return int(file["file_size"]) if file.get("file_size") else LARGEST


def _download_entry(uri: str, source: PurePosixPath, size: int | None, copy: Path, deepest: int) -> None:
    """Download *source*, a file of *size* bytes or a folder, to *copy*."""
    if size is not None:
        _download(uri, source, size, copy)
        return
    if not deepest:
        raise OSError(f"MLflow's artifact {source} lies deeper than {DEEPEST} folders")
    copy.mkdir()
    for name, size_there in _entries(uri, source).items():
        _download_entry(uri, source / name, size_there, copy / name, deepest - 1)


def _download(uri: str, source: PurePosixPath, size: int, copy: Path) -> None:
    try:
        with rest.file(uri, f"{ARTIFACTS}/{source}", size + HEADERS) as response, copy.open("wb") as file:
            shutil.copyfileobj(response, file)
    except rest.Absent:
        raise OSError(f"MLflow lists {source} and does not have it") from None
