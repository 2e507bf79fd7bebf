"""model_info.json of a published model: what it is, and which files lie beside it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from components.artifact_files import MODEL_INFO, ModelInfo
from components.errors import ArtifactCorrupt, ArtifactMissing
from components.settings.sections import FIRST_FORMATS
from components.system.files import open_regular, sha256_of_file

SUFFIX = ".tflite"


def read(folder: Path, sha256: str | None = None) -> ModelInfo:
    """The model that was published in *folder*; raises ArtifactCorrupt unless the file has this *sha256*."""
    import msgspec

    path = folder / MODEL_INFO
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        _reject(path, folder, f"cannot be read ({error.strerror})")
    if sha256 and (actual := hashlib.sha256(content).hexdigest()) != sha256:
        _reject(path, folder, f"was changed: it has sha256 {actual[:16]}..., expected {sha256[:16]}...")
    try:
        return msgspec.json.decode(content, type=ModelInfo)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _reject(path, folder, f"is not as this version of the pipeline writes it ({error})")


def verify(folder: Path, info: ModelInfo, names: Iterable[str]) -> None:
    """Raise ArtifactCorrupt unless each of the files *names* in *folder* has the bytes that *info* says."""
    for name in names:
        path = folder / name
        if name not in info["files"]:
            _reject(path, folder, f"is no file of version {info['version']} of {info['model']}")
        try:
            actual = sha256_of_file(path)
        except OSError as error:
            _reject(path, folder, f"cannot be read ({error.strerror})")
        if actual != (expected := info["files"][name]["sha256"]):
            _reject(path, folder, f"was changed: it has sha256 {actual[:16]}..., expected {expected[:16]}...")


def litert_file(info: ModelInfo) -> str:
    """The name of the file that LiteRT runs: that in float32, where there are several; raises ArtifactMissing."""
    paths = {name: form["path"] for name, form in info["formats"].items() if form["path"].endswith(SUFFIX)}
    if not paths:
        raise ArtifactMissing(
            f"version {info['version']} of {info['model']} was exported as {', '.join(info['formats'])}; expected a "
            "format that LiteRT runs: export one with --set export.formats=tflite"
        )
    return next(paths[name] for name in (*FIRST_FORMATS, *sorted(paths)) if name in paths)


def _reject(path: Path, folder: Path, problem: str) -> NoReturn:
    raise ArtifactCorrupt(f"{path} {problem}; delete the folder {folder}, which is then fetched from the registry")
