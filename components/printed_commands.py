"""Commands in messages, as they can be pasted: with the interpreter in use and the settings that this run was given.

"run it with python -m pipeline run --force ingest", as it is written and stored, is printed as
"run it with .venv/bin/python -m pipeline run --source 'my pictures' --force ingest".
"""

import re
import shlex
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from shutil import which

PREFIX = "python -m pipeline"
# a command that takes settings, where it does not name its source itself
COMMAND = re.compile(rf"{PREFIX}(?P<takes_settings> (?:run|stage [a-z]+|explain)\b(?! --source))?")

_given: list[str] = []
_state = {"as stored": False}


def repeat(arguments: Iterable[str]) -> None:
    """Have printed commands repeat *arguments*, the settings that this process was given on its command line."""
    _given[:] = arguments


def as_stored(stored: bool) -> None:
    """Print commands as they are stored, for a program that puts them into words of its own (components/advice.py)."""
    _state["as stored"] = stored


def runnable(text: str) -> str:
    """*text* with commands that do what is meant: `python` alone may be one without the pipeline's libraries."""
    return COMMAND.sub(_complete, text) if PREFIX in text and not _state["as stored"] else text


def with_interpreter(command: str) -> str:
    """*command*, which names its settings already, with the interpreter in use."""
    return command.replace(PREFIX, f"{interpreter()} -m pipeline")


def _complete(found: re.Match[str]) -> str:
    command = f"{interpreter()} -m pipeline"
    settings = found["takes_settings"]
    return f"{command}{settings}{''.join(f' {shlex.quote(part)}' for part in _given)}" if settings else command


@cache
def interpreter() -> str:
    """What to type for the interpreter that runs now, from the current folder."""
    if which("python") == sys.executable:
        return "python"
    path = Path(sys.executable)
    with suppress(OSError, ValueError):  # the current folder is deleted, or not above it
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))
