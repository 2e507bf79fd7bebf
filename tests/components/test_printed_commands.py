"""Commands in messages, as they are printed."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.printed_commands import as_stored, interpreter, repeat, runnable, with_interpreter


@pytest.fixture(autouse=True)
def nothing_given() -> Iterator[None]:
    interpreter.cache_clear()
    yield
    interpreter.cache_clear()
    repeat(())
    as_stored(False)


def test_the_interpreter_in_use_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`python` where that is it; else by its path, from the current folder where it is below."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my env/bin/python"))
    assert runnable("see python -m pipeline models") == f"see '{tmp_path}/my env/bin/python' -m pipeline models"
    interpreter.cache_clear()
    monkeypatch.chdir(tmp_path)
    assert runnable("python -m pipeline gc") == "'my env/bin/python' -m pipeline gc"
    interpreter.cache_clear()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert runnable("python -m pipeline gc") == f"'{tmp_path}/my env/bin/python' -m pipeline gc"
    monkeypatch.chdir(tmp_path)
    interpreter.cache_clear()
    (tmp_path / "my env/bin").mkdir(parents=True)
    (tmp_path / "my env/bin/python").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "my env/bin"))
    assert runnable("python -m pipeline gc") == "python -m pipeline gc"


def test_settings_that_were_given_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a command runs stages, and does not name its source itself: without them it would do something else."""
    monkeypatch.setattr("components.printed_commands.interpreter", lambda: "python")
    repeat(["--source", "my pictures", "--set", "train.epochs=3"])
    given = "--source 'my pictures' --set train.epochs=3"
    assert runnable("run python -m pipeline run --force export") == f"run python -m pipeline run {given} --force export"
    assert runnable("'python -m pipeline stage train' first") == f"'python -m pipeline stage train {given}' first"
    assert runnable("python -m pipeline run --source mnist") == "python -m pipeline run --source mnist"
    assert runnable("python -m pipeline report") == "python -m pipeline report"
    assert with_interpreter("python -m pipeline run") == "python -m pipeline run"
    assert shlex.split(runnable("python -m pipeline run"))[5] == "my pictures"


def test_a_program_gets_commands_as_they_are_stored() -> None:
    """Neither with the interpreter nor with what was given: it words them itself."""
    repeat(["--set", "train.epochs=3"])
    as_stored(True)
    assert runnable("python -m pipeline run --force export") == "python -m pipeline run --force export"
