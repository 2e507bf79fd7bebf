"""A run with something to review, and a review of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import once
from tests.support.review_process import ReviewProcess, reviewable, reviewing


@pytest.fixture(scope="session")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run on images of which some have wrong labels. Read only: review a copy, `figures`."""
    return once(tmp_path_factory, "reviewed", reviewable)


@pytest.fixture
def figures(reviewed: Path, tmp_path: Path) -> Path:
    """A copy of what a review reads of it; its run has read the images of the first."""
    return copied(reviewed, tmp_path / "home")


def copied(home: Path, target: Path) -> Path:
    for stage in ("ingest", "validate", "normalize", "evaluate", "export"):
        shutil.copytree(home / "artifacts" / stage, target / "artifacts" / stage)
    return Path(shutil.copytree(home / "runs", target / "runs")).parent


@pytest.fixture
def review(figures: Path) -> Iterator[ReviewProcess]:
    with reviewing(figures) as process:
        yield process


@pytest.fixture(scope="session")
def undecided(reviewed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewProcess]:
    """A review in which nothing is ever decided: for questions, and for requests that are refused."""
    home = copied(reviewed, tmp_path_factory.mktemp("undecided") / "home")
    with reviewing(home) as process:
        yield process
        assert not (home / "corrections" / "figures.jsonl").exists()
