"""The tests with a container engine run on request only: make test-docker, or pytest -m docker."""

from collections.abc import Iterator

import pytest

from components.errors import Failure
from pipeline.compose.docker_cli import Engine
from tests.conftest import CLEAN
from tests.support.compose_stack import Stack, running


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "docker" in config.option.markexpr:
        return
    deselected = [item for item in items if item.get_closest_marker("docker")]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    try:
        Engine(CLEAN).require()
    except Failure as error:
        pytest.exit(f"the tests with containers cannot run: {error}", returncode=error.exit_code)
    with running(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
