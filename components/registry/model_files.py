"""The files of a registered version, where MLflow keeps them on this machine.

A server keeps them out of sight: theirs are fetched to be verified (`python -m pipeline verify`), and before they are
used.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.registry.model_version import ModelVersion
from components.system.files import flush, sha256_of_file

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
    what = f"version {version.version} of {version.name} in the registry"
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        return f"{what}: {folder / missing[0]} is missing"
    if not quick and (actual := sha256_of_file(folder / MODEL_FILE)) != version.model_sha256:
        expected = f"expected {version.model_sha256[:16]}..."
        return f"{what}: {folder / MODEL_FILE} was changed, it has sha256 {actual[:16]}..., {expected}"
    return ""


def flush_all(folder: Path) -> None:
    """Write every file below *folder*, and the folders, to the disk."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        flush(path)
