"""One cluster for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.cluster.servers import MISSING, programs
from tests.cluster.stack import Cluster, cluster


@pytest.fixture(scope="session")
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not programs():
        pytest.skip(MISSING)
    with cluster(tmp_path_factory.mktemp("celery")) as running:
        yield running
