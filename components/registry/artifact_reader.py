"""Files among a version's artifacts, read without MLflow's client where that is possible.

file:///...            a folder of this machine: copied
mlflow-artifacts:/...  what the registry's server keeps: fetched from it, GET /api/2.0/mlflow-artifacts/artifacts
anything else          MLflow's client, as where `readers` needs it: a bucket has credentials of its own
"""

import json
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from components.registry import model_files, readers, rest
from components.registry.model_version import ModelVersion
from components.registry.readers import Unknown
from components.system.files import copy_folder

ARTIFACTS = "mlflow-artifacts/artifacts"
DEEPEST = 16  # folders in one another


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
    is_folder = _entries(uri, wanted.parent).get(wanted.name)
    if is_folder is None:
        return None
    copy = folder / wanted.name
    if is_folder:
        _download_folder(uri, wanted, copy, DEEPEST)
    else:
        _download(uri, wanted, copy)
    return copy


def _copied(source: Path, folder: Path) -> Path | None:
    copy = folder / source.name
    if source.is_dir():
        return copy_folder(source, copy)
    return Path(shutil.copyfile(source, copy)) if source.is_file() else None


def _entries(uri: str, folder: PurePosixPath) -> dict[str, bool]:
    """The name of each entry of *folder*, and whether it is a folder; nothing where there is none."""
    try:
        with rest.response(uri, ARTIFACTS, path=str(folder)) as response:
            files = json.load(response).get("files", [])
            names = {str(file["path"]): bool(file.get("is_dir", False)) for file in files}
    except rest.Absent:
        return {}
    except (AttributeError, LookupError, TypeError):
        raise OSError(f"not a response of MLflow for {ARTIFACTS}") from None
    for name in names:
        if name in ("", ".", "..") or "/" in name:
            raise OSError(f"MLflow lists an artifact that no file here can have the name of: {name!r}")
    return names


def _download_folder(uri: str, source: PurePosixPath, copy: Path, deepest: int) -> None:
    if not deepest:
        raise OSError(f"MLflow's artifact {source} lies deeper than {DEEPEST} folders")
    copy.mkdir()
    for name, is_folder in _entries(uri, source).items():
        if is_folder:
            _download_folder(uri, source / name, copy / name, deepest - 1)
        else:
            _download(uri, source / name, copy / name)


def _download(uri: str, source: PurePosixPath, copy: Path) -> None:
    try:
        with rest.response(uri, f"{ARTIFACTS}/{source}") as response, copy.open("wb") as file:
            shutil.copyfileobj(response, file)
    except rest.Absent:
        raise OSError(f"MLflow lists {source} and does not have it") from None
