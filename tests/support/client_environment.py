"""The environment of the clients that the server is tested with, made once from a lock of its own.

It is kept in the user's cache, under a name with the hash of the lock, so that only the first test needs a network.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.conftest import ROOT

LOCK = ROOT / "tests/serving/clients/requirements.lock"
MISSING = "the clients of the server cannot be installed"


def python() -> Path:
    """The interpreter of the environment; skips the test where it is missing and cannot be made."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retraining-pipeline"
    folder = cache / f"clients-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not folder.is_dir():
        _make(folder)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    uv = find_uv_bin()  # `python -m uv` would install into the environment of the tests
    steps = (
        [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft)],
        [uv, "pip", "install", "--quiet", "--python", str(draft), "--require-hashes", "-r", str(LOCK)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{MISSING}: {done.stderr.strip()[-200:]}")
    try:
        draft.rename(folder)
    except OSError:  # another test process was quicker
        assert folder.is_dir()
