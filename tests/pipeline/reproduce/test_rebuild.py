"""The run that makes a version again, in a process of its own: what its end says of the reproduction."""

from pathlib import Path

import pytest

from components.registry.client import Registry
from pipeline.home import Home
from pipeline.reproduce.rebuild import Run
from pipeline.reproduce.reproduction import Request, reproduce
from tests.pipeline.reproduce.test_inputs import made_of


@pytest.mark.parametrize(("status", "expected"), [(1, 1), (3, 3)])
def test_how_the_run_ends_decides_whether_another_try_may_help(tmp_path: Path, status: int, expected: int) -> None:
    """Images that are refused are so the next time; a disk that is full may not be."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexit {status}\n")
    python.chmod(0o755)
    home = Home(tmp_path / "run")
    request = Request(made_of(), Home(tmp_path / "home"), Registry("sqlite:////nowhere"), tmp_path, home.root)
    result = reproduce(request, Run(python, tmp_path, tmp_path / "settings.toml", home, tmp_path, {}))
    assert str(result) == "nothing was made: the run ended before train: it did not begin"
    assert result.exit_status == expected
