"""An environment made once from a lock of its own, for programs whose packages do not go with those of the project.

It is kept in the user's cache, under a name with the hash of the lock, so that only the first call needs a network.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin


class CannotInstall(Exception):
    """The environment is not there and cannot be made: what uv says."""


def locked_environment(name: str, lock: Path) -> Path:
    """The folder with the programs of the environment *name*; raises CannotInstall."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retraining-pipeline"
    folder = cache / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not folder.is_dir():
        _make(folder, lock)
    return folder / "bin"


def _make(folder: Path, lock: Path) -> None:
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    uv = find_uv_bin()  # `python -m uv` would install into the environment of the tests
    steps = (
        [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft)],
        [uv, "pip", "install", "--quiet", "--python", str(draft), "--require-hashes", "-r", str(lock)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotInstall(done.stderr.strip()[-200:])
    try:
        draft.rename(folder)
    except OSError:  # another process was quicker
        assert folder.is_dir()
