"""model_info.json: what a program needs to know to serve the exported files, and the sha256 of each of them."""

import json
from pathlib import Path
from typing import Literal

from components.artifact_files import (
    MODEL_INFO,
    DrawnForm,
    FileInfo,
    InputInfo,
    ModelDescription,
    ModelInfo,
    NormalizedData,
    Parity,
)
from components.export.formats import served
from components.export.identity import Identity
from components.proportions import wilson
from components.system.files import sha256_of_file


def description(identity: Identity, data: NormalizedData) -> ModelDescription:
    """What every file says of itself."""
    channels: Literal["grey", "RGB"] = "grey" if data["shape"][-1] == 1 else "RGB"
    entry: InputInfo = {"shape": data["shape"], "channels": channels, "fit": identity.fit, "resize": identity.resize}
    return {"model": identity.model, "version": identity.version, "classes": data["classes"], "input": entry}


def model_info(about: ModelDescription, model_sha256: str, drawn: DrawnForm | None, parity: Parity) -> ModelInfo:
    """What is known before the files are complete."""
    counts = parity["formats"].get(served(parity["formats"]), parity["keras"])
    low, high = wilson(counts["correct"], parity["n"])
    return {
        **about,
        "model_sha256": model_sha256,
        "drawn": drawn,
        "accuracy": counts["accuracy"],
        "wilson_low": low,
        "wilson_high": high,
        "n": parity["n"],
        "signature": {"inputs": "images", "outputs": "probabilities"},
        "formats": {
            name: {"path": form["path"], "accuracy": form["accuracy"]} for name, form in parity["formats"].items()
        },
        "files": {},
    }


def write_model_info(info: ModelInfo, folder: Path) -> None:
    """Write *info* to *folder*, with every file that is there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = {path.relative_to(folder).as_posix(): _file_info(path) for path in files}
    (folder / MODEL_INFO).write_text(json.dumps({**info, "files": listed}, indent=2, sort_keys=True) + "\n")


def _file_info(path: Path) -> FileInfo:
    return {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
