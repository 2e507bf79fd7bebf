"""The files of a registered version, where MLflow keeps them on this machine.

A server keeps them out of sight: theirs are fetched to be verified (`python -m pipeline verify`), and before they are
used.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.registry import recorded_files
from components.registry.model_version import ModelVersion
from components.system.files import flush

MODEL_FILE = "data/model.keras"  # inside a version's artifacts, where MLflow's Keras flavour puts it
FILES = ("MLmodel", MODEL_FILE)  # without which MLflow cannot load a model


def folder_of(address: str) -> Path | None:
    """The folder of an address of MLflow's artifacts; None where it is not on this machine."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def damage(version: ModelVersion, *, quick: bool = False) -> str:
    """What is wrong with the files of *version*; "" for nothing, or where they are not this machine's.

    A version that this pipeline did not register has no known content. With *quick* files may be missing, and are not
    read.
    """
    folder = folder_of(version.source)
    if folder is None or not version.model_sha256:
        return ""
    return next((sentence(version, folder / name, what) for name, what in damages(version, folder, quick=quick)), "")


def sentence(version: ModelVersion, file: Path | str, what: str) -> str:
    return f"version {version.version} of {version.name} in the registry: {file} {what}"


def damages(version: ModelVersion, folder: Path, *, quick: bool = False) -> Iterator[tuple[str, str]]:
    """The name of each damaged file of *version*, whose files are in *folder*, and what happened to it.

    Of a version that was registered before its files were recorded, only the model itself is known. With *quick* files
    may be missing, and are not read.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    yield from ((name, "is missing") for name in missing)
    if quick or missing:
        return
    sums, digest = {MODEL_FILE: version.model_sha256}, version.tags.get(recorded_files.SHA256_TAG, "")
    if recorded := recorded_files.read(folder, digest):
        sums = recorded | sums
    elif digest:
        yield recorded_files.RECORD, "was changed" if (folder / recorded_files.RECORD).exists() else "is missing"
    yield from recorded_files.damages(folder, sums)


def added(version: ModelVersion, folder: Path) -> list[str]:
    """The files in *folder* that were not among those of *version* when they were recorded."""
    recorded = recorded_files.read(folder, version.tags.get(recorded_files.SHA256_TAG, ""))
    return sorted(recorded_files.files(folder).keys() - recorded.keys()) if recorded else []


def flush_all(folder: Path) -> None:
    """Write every file below *folder*, and the folders, to the disk."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        flush(path)
