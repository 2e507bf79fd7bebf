"""The run that makes a version again, in a process of its own: what its end says of the reproduction."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from components.register.provenance import FILES_DIGEST, Build, Resource, statement
from components.registry.client import Registry
from components.registry.model_version import ModelVersion
from pipeline.home import Home
from pipeline.reproduce.rebuild import Outcome, Run
from pipeline.reproduce.recorded import Recorded
from pipeline.reproduce.reproduction import Request, reproduce
from pipeline.store.artifact import Artifact
from pipeline.store.recipe import Recipe
from tests.pipeline.reproduce.test_inputs import made_of

RECIPE: Recipe = {"stage": "", "code": {}, "params": {}, "inputs": {}, "runtime": {}}
DATA = ("ingest", "validate", "normalize")


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


@dataclass(frozen=True)
class Diverging(Run):
    """A run whose images are those of the version, and whose training diverges."""

    def until(self, stage: str) -> Outcome:
        made = {name: Artifact(name, "key", self.code, name, RECIPE, {}, {}, {}) for name in DATA}
        return Outcome(0, made, "") if stage == "normalize" else Outcome(4, made, "the loss is not a number")


def test_a_training_that_diverges_does_so_again(tmp_path: Path) -> None:
    annotations = {"key": "key", "recipe": RECIPE}
    stages = [Resource(name, {FILES_DIGEST: name}, annotations=annotations) for name in (*DATA, "train")]
    build = Build("run", "", "", {"python": "3.11.9"}, {"settings": {}}, {"environments": {}}, [], stages)
    known = Recorded(ModelVersion("m", "3"), statement({}, build), {})
    request = Request(known, Home(tmp_path / "home"), Registry("sqlite:////nowhere"), tmp_path, tmp_path / "run")
    run = Diverging(tmp_path / "python", tmp_path, tmp_path / "settings.toml", Home(tmp_path / "run"), tmp_path, {})
    result = reproduce(request, run)
    assert str(result).endswith("normalize equal: the run ended before train: the loss is not a number")
    assert result.exit_status == 4
