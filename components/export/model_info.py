"""model_info.json: what a program needs to know to serve the exported files, and the sha256 of each of them."""

import json
from pathlib import Path

from components.artifact_files import DrawnForm, FileInfo, ModelInfo, NormalizedData, Parity
from components.export.formats import served
from components.export.identity import Identity
from components.proportions import wilson
from components.system.files import sha256_of_file

FILE = "model_info.json"


def model_info(
    identity: Identity, model_sha256: str, data: NormalizedData, drawn: DrawnForm | None, parity: Parity
) -> ModelInfo:
    """What is known before the files are complete."""
    counts = parity["formats"].get(served(parity["formats"]), parity["keras"])
    low, high = wilson(counts["correct"], parity["n"])
    return {
        "model": identity.model,
        "version": identity.version,
        "model_sha256": model_sha256,
        "classes": data["classes"],
        "input": {
            "shape": data["shape"],
            "channels": "grey" if data["shape"][-1] == 1 else "RGB",
            "fit": identity.fit,
            "resize": identity.resize,
        },
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
    (folder / FILE).write_text(json.dumps({**info, "files": listed}, indent=2, sort_keys=True) + "\n")


def _file_info(path: Path) -> FileInfo:
    return {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)}
