"""Completion by the shell, by argcomplete's protocol: the line in variables, the candidates in a file."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import SETTINGS
from pipeline.graph import STAGES
from tests.conftest import CLEAN, ROOT


def complete(line: str, folder: Path) -> list[str]:
    """What a shell offers at the end of *line*, as `python -m pipeline` answers it."""
    answer = folder / "answer"
    protocol = {
        "_ARGCOMPLETE": "3",  # the command's arguments begin after `python -m pipeline`
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><=;|&(:",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    environment = {**CLEAN, **protocol, "PIPELINE_HOME": str(folder)}
    subprocess.run([sys.executable, "-m", "pipeline"], cwd=ROOT, env=environment, check=True, capture_output=True)
    return [candidate.strip() for candidate in answer.read_text().splitlines()]


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("r", ["report", "reproduce", "review", "rollback", "run", "runs"]),
        ("explain no", ["normalize"]),
        ("run --until ", sorted(STAGES)),
        ("run --set train.mod", ["train.model="]),
        ("run --set train.schedule=cos", ["cosine"]),
        ("run --config fas", ["fast"]),
        ("predict --version ch", ["challenger", "champion"]),
    ],
)
def test_the_shell_completes(line: str, candidates: list[str], tmp_path: Path) -> None:
    """Commands, stages, names after --set, their choices, and profiles."""
    assert sorted(complete(f"python -m pipeline {line}", tmp_path)) == candidates


def test_every_setting_is_completed(tmp_path: Path) -> None:
    """All of them after `--set`, each with the sign for its value."""
    assert sorted(complete("python -m pipeline run --set ", tmp_path)) == sorted(f"{name}=" for name in SETTINGS)


def test_runs_are_completed_from_the_workspace(tmp_path: Path) -> None:
    """Those below $PIPELINE_HOME/runs that begin with what is typed."""
    for name in ("20261126-055326-15f5a1", "20261127-055434-8662ab"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert complete("python -m pipeline show 20261127", tmp_path) == ["20261127-055434-8662ab"]


def test_models_are_completed_from_the_workspace(tmp_path: Path) -> None:
    """Those whose files are published there: no registry is asked while somebody types."""
    for name in ("digits-classifier", "pets-classifier"):
        (tmp_path / "exports" / name / "1").mkdir(parents=True)
    assert complete("python -m pipeline predict --model p", tmp_path) == ["pets-classifier"]


def test_a_shell_that_is_switched_on_recognizes_the_command() -> None:
    """argcomplete's global completion asks a module by this mark before it runs it."""
    module = [sys.executable, "-m", "argcomplete._check_module", "pipeline"]
    subprocess.run(module, cwd=ROOT, env=CLEAN, check=True)
