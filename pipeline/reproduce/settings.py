"""The settings of a version as a file for its reproduction: as they were recorded, with the places of today."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.ingest import select
from components.public_text import HIDDEN
from components.system.files import expanded, write_atomically
from pipeline.config import SETTINGS
from pipeline.reproduce.recorded import Recorded

SECTIONS = ("ingest", "validate", "normalize", "train", "evaluate", "gate", "register")  # of the stages up to evaluate
SOURCE = "ingest.source"
EXPERIMENT = "reproduction"  # of MLflow, in a workspace of its own


def settings(recorded: Recorded, source: str = "", threads: int = 0) -> dict[str, Any]:
    """Those that the run takes; images lie in *source*, the training computes in so many *threads*, where given.

    A place that is not there is left to the environment; so is an address whose login was not recorded.
    """
    chosen = dict(recorded.settings)
    if source:
        chosen[SOURCE] = source
    if threads:
        chosen["train.threads"] = threads
    placed = {name: _placed(name, value) for name, value in chosen.items() if name.partition(".")[0] in SECTIONS}
    kept = {name: value for name, value in placed.items() if value is not None and HIDDEN not in str(value)}
    return kept | {"register.experiment": EXPERIMENT, "ingest.corrections": ""}


def _placed(name: str, value: Any) -> Any:
    """*value*, made absolute where it is a path that exists; None for a path that does not."""
    spec = SETTINGS.get(name)
    is_path = spec is not None and spec.metadata["spelling"] is expanded
    if not is_path or not value or (name == SOURCE and select.is_name(value)):
        return value
    path = Path(expanded(value)).absolute()
    return str(path) if path.exists() else (value if name == SOURCE else None)


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write *values* as a settings file."""
    write_atomically(path, "\n".join(_lines(values)) + "\n")


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    for section in dict.fromkeys(name.partition(".")[0] for name in values):
        yield f"[{section}]"
        for name, value in values.items():
            if name.startswith(f"{section}."):  # JSON's texts, numbers and truth values are TOML's
                yield f"{name.partition('.')[2]} = {json.dumps(value, ensure_ascii=False)}"
