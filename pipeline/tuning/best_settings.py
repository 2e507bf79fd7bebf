"""The best settings of a study as a TOML file that `run --config` takes: settings only, and where they come from."""

import json
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.errors import ConfigError
from pipeline import config
from pipeline.tuning.plan import Plan
from pipeline.tuning.study import Study, Trial

MARK = "# Written by python -m pipeline tune"


def check(path: Path, file: str) -> None:
    """Raises ConfigError where *path* cannot be written, is the settings file *file* or something a person wrote."""
    if not path.parent.is_dir():
        raise ConfigError(f"--out is {path}, but there is no folder {path.parent}; make it, or name another file")
    if path.is_dir():
        raise ConfigError(f"--out is {path}, which is a folder; name a file in it")
    if path.exists() and not path.read_text(errors="replace").startswith(MARK):
        what = "the settings file itself" if path.samefile(config.located(file)) else "a file that tune did not write"
        raise ConfigError(f"--out is {path}, {what}; name another file")


def write(path: Path, plan: Plan, study: Study, best: Trial) -> None:
    """Write what a person wrote and what the search found, the latter winning."""
    head = [
        f"{MARK} on {time.strftime('%Y-%m-%d', time.gmtime())}: study {study.name}, trial {best.number},",
        f"# validation {plan.tune.objective} {best.value:.6g}. The model is trained already; the rest of the run:",
        f"#   python -m pipeline run --config {shlex.quote(str(path))}",
    ]
    part = path.with_name(f".{path.name}.part")
    part.write_text("\n".join([*head, *_sections({**plan.written, **best.chosen})]) + "\n")
    part.replace(path)


def _sections(settings: Mapping[str, Any]) -> Iterator[str]:
    sections: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        section, _, short = name.partition(".")
        sections.setdefault(section, {})[short] = value
    for section, values in sections.items():
        yield f"\n[{section}]"
        yield from (f"{name} = {_toml(value)}" for name, value in values.items())


def _toml(value: Any) -> str:
    """A setting is a truth value, a number or a text, and JSON writes these as TOML does."""
    return json.dumps(value, ensure_ascii=False)
