"""A bucket whose answers no client should trust: a sentence each, in time, whatever the server does."""

import random
import time
from collections.abc import Iterator

import pytest

from components.errors import ConfigError, Unavailable
from components.ingest.reading.bucket_copy import Bucket
from components.system import object_answers, object_store
from tests.faults import hostile_bodies, hostile_proxy
from tests.faults.hostile_proxy import Answer, Fault, Proxy
from tests.support.noise_pictures import png
from tests.support.s3_server import new_connections


@pytest.fixture
def spoiled(prefix: str, bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, Proxy]]:
    """A bucket with an image, behind a proxy that does no harm yet."""
    monkeypatch.setattr(object_store, "SECONDS", 0.5)
    monkeypatch.setattr(object_answers, "MOST", 2**20)
    with new_connections(), Proxy(bucket["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        object_store.file_system().pipe_file(f"{prefix.removeprefix('s3://')}/cat/1.png", png(1))
        images = Bucket(prefix)
        assert [*images.objects()] == ["cat/1.png"]
        yield images, proxy


def refused_with_a_checksum(answer: Answer) -> None:
    """An error with the headers of an object, over which aiobotocore stumbles."""
    answer.send(status=400, headers={"x-amz-checksum-crc32": "AAAAAA=="})


def endless_object(answer: Answer) -> None:
    """Without a length, which S3 always sends."""
    answer.start(200, {**answer.headers, "Transfer-Encoding": "chunked"})
    while not answer.ended.is_set():
        answer.connection.sendall(hostile_proxy.CHUNK)


def dripping_header(answer: Answer) -> None:
    while not answer.ended.wait(0.05):
        answer.connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: " if not answer.body else b"x")
        answer.body = b"x"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (hostile_proxy.endless, "more than the expected 1,048,576 bytes"),
        (hostile_bodies.looped_listing, "there are more, and not where"),
        (hostile_bodies.lost_listing, "there are more, and not where"),
        (hostile_bodies.deep_xml, "did not answer"),
        (hostile_bodies.xml_bomb, "refuses|did not answer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_listing_that_is_none_is_refused(spoiled: tuple[Bucket, Proxy], fault: Fault, message: str) -> None:
    images, proxy = spoiled
    proxy.spoil(fault, random.Random(0))
    with pytest.raises((Unavailable, ConfigError), match=message):
        images.objects()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (refused_with_a_checksum, "has no attribute|a bytes-like object"),
        (endless_object, "more than the expected 1,048,576 bytes"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_object_that_is_none_is_refused(
    spoiled: tuple[Bucket, Proxy], fault: Fault, message: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    images, proxy = spoiled
    objects = images.objects()
    proxy.spoil(fault, random.Random(0))
    with pytest.raises(Unavailable, match=message):
        images.fetch(objects, tmp_path_factory.mktemp("copy"))


def test_an_answer_that_drips_is_given_up_once(spoiled: tuple[Bucket, Proxy]) -> None:
    """In its headers; without a second attempt, which would drip, too."""
    images, proxy = spoiled
    proxy.spoil(lambda answer: dripping_header(Answer(**{**vars(answer), "body": b""})), random.Random(0))
    start = time.monotonic()
    with pytest.raises(Unavailable, match="no answer within 1 s"):
        images.objects()
    assert time.monotonic() - start < 10
    assert len(proxy.seen) == 1


def test_a_wait_is_announced(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The client retries for minutes by itself, and says nothing."""
    monkeypatch.setattr(object_store, "WORD_SECONDS", 0.01)
    with object_store.announced("s3://images"):
        end = time.monotonic() + 30
        heard = ""
        while heard.count("still waiting for s3://images") < 2:
            heard += capsys.readouterr().err
            assert time.monotonic() < end
