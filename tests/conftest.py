"""What several tests stand on: one finished run, made once a session by the real command, and copies of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pipeline  # noqa: F401 - sets the variables that keep every library from calling home

ROOT = Path(__file__).parents[1]

# A run that is quick, not good: two epochs, and gates that let it pass.
QUICK = ("train.epochs=2", "gate.min_accuracy=0.1", "gate.max_export_loss=1", "gate.max_regression=1")

# A run that a person starts has none of the variables of the session that runs the tests.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PIPELINE_", "MLFLOW_TRACKING", "MNIST_DIR", "TFDS_DATA_DIR", "PYTHONDONTWRITEBYTECODE"))
}


def command(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`python -m pipeline ARGUMENTS` in a process of its own, with *home* as PIPELINE_HOME."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        env={**CLEAN, "PIPELINE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def quick_run(home: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """The answer of a quick run on digits that has to succeed."""
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = command(home, "run", "--json", "--source", "digits", *settings, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a quick run that went through all eight stages. Not to be changed: take `home` for that."""
    home = tmp_path_factory.mktemp("finished")
    quick_run(home)
    return home


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run's home, to be changed."""
    copy = tmp_path / "home"
    shutil.copytree(finished, copy)
    return copy
