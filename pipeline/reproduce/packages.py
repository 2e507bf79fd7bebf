"""The packages of a version: those installed here where they are the same, else a new environment by its lock."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from components.errors import ConfigError, Unavailable
from components.formatting import thousands
from components.progress import say
from components.system.wheels import wheels
from pipeline.provenance import lock_sha256
from pipeline.repository import LOCK
from pipeline.reproduce.recorded import Recorded

SHOWN = 5  # packages that are named
GONE = (  # parts of what uv says where the index or the list of Pythons answers, and has not what was asked for
    "No solution found",
    "Hash mismatch",
    "No interpreter found",
    "(404 ",
)


def differences(recorded: Recorded) -> list[str]:
    """In what Python and packages here differ from those of the version, as sentences; [] where they are the same."""
    return list(_differences(recorded))


def _differences(recorded: Recorded) -> Iterator[str]:
    if (python := platform.python_version()) != recorded.python:
        yield f"Python {recorded.python} then, {python} here"
    here = {wheel.name: wheel.version for wheel in wheels()}
    names = sorted(here.keys() | recorded.wheels.keys())
    others = [name for name in names if here.get(name) != recorded.wheels.get(name)]
    for name in others[:SHOWN]:
        yield f"{name} {recorded.wheels.get(name, 'none')} then, {here.get(name, 'none')} here"
    if len(others) > SHOWN:
        yield f"and {thousands(len(others) - SHOWN)} more packages"


def problem(recorded: Recorded, code: Path) -> str:
    """Why the lock in *code* is not that of the version, "" where it is."""
    if recorded.lock and lock_sha256(code) != recorded.lock:
        return f"{LOCK} of commit {recorded.commit[:12]} is not the one that {recorded.title} was made with"
    return ""


def interpreter(recorded: Recorded, code: Path, folder: Path, *, dry: bool = False) -> Path:
    """A Python with the packages of the version: that of this process, or one that is made in *folder*.

    With *dry* nothing is installed, only resolved. Raises ConfigError without uv, or where the index no longer has a
    wheel of the lock, and Unavailable where it does not answer.
    """
    if not differences(recorded):
        return Path(sys.executable)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise ConfigError(
            f"the packages of {recorded.title} differ from those here, and there is no uv to install them"
        )
    python = folder / "bin" / "python"
    say(f"  {'looking for' if dry else 'installing'} the packages of {recorded.title}, by the hashes of its lock")
    _run(recorded, uv, "venv", "--quiet", "--python", recorded.python, str(folder))
    how = ["--dry-run"] if dry else ["--compile-bytecode"]
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes"]
    _run(recorded, *install, *how, "-r", str(code / LOCK))
    return python


def _run(recorded: Recorded, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())[:500]
        if any(text in reason for text in GONE):
            raise ConfigError(
                f"Python or packages of {recorded.title} are gone: {reason}; UV_DEFAULT_INDEX names another index"
            )
        raise Unavailable(f"Python or the packages of {recorded.title} cannot be installed: {reason}")
