"""One cluster for all tests of this folder, which ends with the last of them."""

from collections.abc import Iterator

import pytest

from tests.support.celery_stack import Cluster, cluster
from tests.support.services import missing


@pytest.fixture(scope="module")  # the folder is no package, so a scope "package" would last for the whole session
def celery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    with cluster(tmp_path_factory.mktemp("celery")) as running:
        yield running
