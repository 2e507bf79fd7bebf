"""The best settings of a study as a TOML file for `run --config`."""

import json
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from components.errors import ConfigError
from components.public_text import public
from components.system.files import write_atomically
from pipeline import config
from pipeline.tuning.plan import Plan, Settings, Value, idle
from pipeline.tuning.study import Study, Trial

MARK = "# Written by python -m pipeline tune"


def check(path: Path, file: str) -> None:
    """Raise ConfigError where *path* cannot be written, is the settings file *file*, or was written by a user."""
    if not path.parent.is_dir():
        raise ConfigError(f"--out is {path}, but there is no folder {path.parent}; create it, or name another file")
    if path.is_dir():
        raise ConfigError(f"--out is {path}, which is a folder; name a file in it")
    if path.exists() and not path.read_text(errors="replace").startswith(MARK):
        what = "the settings file itself" if path.samefile(config.located(file)) else "a file that tune did not write"
        raise ConfigError(f"--out is {path}, {what}; name another file")


def write(path: Path, plan: Plan, study: Study, best: Trial) -> None:
    """Write the settings that the user wrote and the best values of the searched ones, which take precedence."""
    head = [
        f"{MARK} on {time.strftime('%Y-%m-%d', time.gmtime())}: study {study.name}, trial {best.number},",
        f"# validation {plan.tune.objective} {best.value:.6g}. The model is trained already; the rest of the run:",
        f"#   python -m pipeline run --config {shlex.quote(str(path))}",
    ]
    settings = {**plan.written, **best.chosen}
    without_effect = idle(settings)
    effective = {name: value for name, value in settings.items() if name not in without_effect}
    write_atomically(path, "\n".join([*map(public, head), *_sections(effective)]) + "\n")


def _sections(settings: Mapping[str, Value]) -> Iterator[str]:
    sections: dict[str, Settings] = {}
    for name, value in settings.items():
        section, _, short = name.partition(".")
        sections.setdefault(section, {})[short] = value
    for section, values in sections.items():
        yield f"\n[{section}]"
        yield from (_line(name, value) for name, value in values.items())


def _line(name: str, value: Value) -> str:
    """A setting in TOML, which writes truth values, numbers and texts as JSON does.

    A comment where the file cannot hold it, a name that is no UTF-8, or had better not, an address with its login.
    """
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    return line if public(line) == line else f"# to be given by --set: {public(line)}"
