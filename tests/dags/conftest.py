"""One Airflow for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.dags.served import Served, airflow


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with airflow(tmp_path_factory.mktemp("airflow")) as running:
        yield running
