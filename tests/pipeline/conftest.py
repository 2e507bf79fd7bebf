"""A bucket for the tests of this folder: one server a session, a prefix of its own for each test."""

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.support.s3_server import served

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def bucket() -> Iterator[dict[str, str]]:
    """The variables that lead to a server with the bucket `models`."""
    import s3fs

    with served() as variables:
        os.environ.update(variables)
        try:
            s3fs.S3FileSystem().mkdir("models")
            yield variables
        finally:
            for name in variables:
                del os.environ[name]


@pytest.fixture
def prefix(bucket: dict[str, str]) -> str:
    """An address in the bucket that no other test uses."""
    return f"s3://models/test-{next(NUMBERS)}"
