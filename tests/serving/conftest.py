"""A home with published versions, and a server of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served_versions import Versions
from tests.support.serving_process import ServingProcess, serving


@pytest.fixture
def versions(empty_database: Path, tmp_path: Path) -> Versions:
    """A model without a version, in a home of its own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Versions(tmp_path)


@pytest.fixture(scope="module")
def server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """A server of version 1, which no test changes."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(empty_database, home / "mlflow.db")
    Versions(home).add(champion=True)
    with serving(home) as process:
        yield process
