"""Images in a bucket: read like a folder, fetched once, and refused in a sentence where they cannot be."""

from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError, DataRejected, SourceError, SourceUnreachable, Unavailable
from components.ingest import select
from components.ingest.reading import bucket_copy
from components.ingest.reading.image_source import ImageSource
from components.ingest.sources import s3
from components.settings.sections import Ingest
from components.system import object_store
from tests.support.noise_pictures import png

FILES = {f"{name}/{i}.png": png(10 * len(name) + i) for name in ("cat", "mouse") for i in range(6)}


def put(url: str, files: "dict[str, bytes]") -> str:
    """Put *files* below *url*; returns it."""
    for name, data in files.items():
        object_store.file_system().pipe_file(f"{url.removeprefix('s3://')}/{name}", data)
    return url


@pytest.fixture
def pets(prefix: str) -> str:
    return put(f"{prefix}/pets/images", FILES)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the objects whose content is fetched."""
    names: list[str] = []
    download = bucket_copy.Bucket._download

    def recorded(self: bucket_copy.Bucket, batch: list[str], *arguments: Any) -> None:
        names.extend(batch)
        download(self, batch, *arguments)

    monkeypatch.setattr(bucket_copy.Bucket, "_download", recorded)
    return names


def opened(url: str, cache: Path, **settings: Any) -> ImageSource:
    return s3.read(Ingest(source=url, **settings), cache)


def test_a_bucket_is_read_like_a_folder(pets: str, tmp_path: Path) -> None:
    """Classes, images and their number; the name is the part of the address that means something."""
    source = opened(pets, tmp_path)
    blocks = list(source.blocks)
    assert (source.classes, source.images, source.origin) == (["cat", "mouse"], 12, pets)
    assert sum(len(labels) for _, _, labels in blocks) == 12
    assert sorted(path for paths in source.files.values() for path in paths) == sorted(FILES)
    assert select.kind(pets) == select.label(pets) == "s3"
    assert select.name(Ingest(source=pets)) == "pets"
    assert select.can_change(pets)
    assert not select.can_change("mnist")


def test_an_unchanged_object_is_not_fetched_again(pets: str, tmp_path: Path, fetched: list[str]) -> None:
    """Nor anything for the fingerprint, which reading confirms; what left the bucket leaves the copy."""
    params = Ingest(source=pets)
    fingerprint = select.fingerprint(params, tmp_path)
    assert fetched == []
    source = opened(f"{pets}/", tmp_path)
    list(source.blocks)
    assert (source.fingerprint(), sorted(fetched)) == (fingerprint, sorted(FILES))
    fetched.clear()
    put(pets, {"cat/0.png": png(99), "cat/new.png": png(98)})
    object_store.file_system().rm(f"{pets.removeprefix('s3://')}/mouse/5.png")
    assert select.fingerprint(params, tmp_path) != fingerprint
    assert opened(pets, tmp_path).images == 12
    assert fetched == ["cat/0.png", "cat/new.png"]
    copy = bucket_copy.folder_of(pets, tmp_path) / "files"
    assert not (copy / "mouse/5.png").exists()
    (copy / "cat/1.png").write_bytes(b"")
    fetched.clear()
    opened(pets, tmp_path)
    assert fetched == ["cat/1.png"]


def test_only_images_and_tables_are_fetched(prefix: str, tmp_path: Path, fetched: list[str]) -> None:
    """Of anything else the name is enough; hidden objects and markers of folders do not count."""
    table = b"file,label\n" + b"".join(f"{name},{name.split('/')[0]}\n".encode() for name in FILES)
    others = {"README.md": b"x", "images/": b"", ".hidden/x.png": b"x", "film.mp4": b"x"}
    put(prefix, {f"images/{name}": data for name, data in FILES.items()} | {"labels.csv": table} | others)
    source = opened(prefix, tmp_path, labels="labels.csv")
    assert source.classes == ["cat", "mouse"]
    assert sorted(fetched) == sorted([*(f"images/{name}" for name in FILES), "labels.csv"])
    assert "ignored: 2 beside the class folders (README.md, ...)" in source.notes


def test_an_image_that_is_too_large_is_not_fetched(
    pets: str, tmp_path: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out like one in a folder."""
    monkeypatch.setattr("components.data.pictures.picture_files.MAX_BYTES", 10_000)
    put(pets, {"cat/huge.png": bytes(10_001)})
    source = opened(pets, tmp_path)
    assert sum(len(labels) for _, _, labels in source.blocks) == 12
    assert [file.path for file in source.unusable] == ["cat/huge.png"]
    assert "cat/huge.png" not in fetched


def test_an_object_that_changes_meanwhile_is_noticed(
    pets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size tells; a retry may succeed."""
    objects = bucket_copy.Bucket.objects
    listed = {path: found._replace(size=7) for path, found in objects(bucket_copy.Bucket(pets)).items()}
    monkeypatch.setattr(bucket_copy.Bucket, "objects", lambda _: listed)
    with pytest.raises(SourceUnreachable, match=r"0\.png changed while it was being read; run it again"):
        opened(pets, tmp_path)


def test_what_is_not_there_is_refused(bucket: dict[str, str], prefix: str, tmp_path: Path) -> None:
    """A prefix without objects, and a bucket that does not exist."""
    with pytest.raises(SourceError, match=rf"{prefix}/none has no objects; expected images below it: check the bucket"):
        opened(f"{prefix}/none", tmp_path)
    with pytest.raises(
        ConfigError, match=r"there is no bucket none-such \(ingest\.source\); create it, or name another"
    ):
        select.fingerprint(Ingest(source="s3://none-such/x"), tmp_path)


def test_a_long_listing_says_how_far_it_is(
    pets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server gives a page at a time; the marker that a console makes for the folder itself is no object."""
    put(pets, {"": b""})
    monkeypatch.setattr(object_store, "PAGE", 5)
    monkeypatch.setattr("components.progress.FIRST_SECONDS", 0)
    monkeypatch.setattr("components.progress.SECONDS_BETWEEN_LINES", 0)
    assert sorted(bucket_copy.Bucket(pets).objects()) == sorted(FILES)
    lines = [f"  ingest: listing {pets}: {count} objects" for count in (5, 10, 13)]
    assert capsys.readouterr().err.splitlines() == lines


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What listing raises."""
    errors: list[Exception] = []

    def call(self: object, *_: object, **__: object) -> None:
        raise errors[0]

    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", call)
    return errors


def test_what_may_not_be_read_is_refused(answers: list[Exception], tmp_path: Path) -> None:
    """The refusal of the server, its silence, and missing credentials; a retry may cure the silence."""
    from botocore.exceptions import ClientError, NoCredentialsError

    refused = PermissionError("Access Denied")
    reply: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    refused.__cause__ = ClientError(reply, "ListObjectsV2")
    for error, failure, text in (
        (refused, ConfigError, "s3://photos/x (ingest.source) refuses: Access Denied; check the credentials"),
        (ConnectionError("reset"), Unavailable, "did not answer (reset); check the network"),
        (NoCredentialsError(), ConfigError, "there are no credentials for s3://photos/x (ingest.source); set AWS_ACC"),
    ):
        answers[:] = [error]
        with pytest.raises(failure) as caught:
            select.fingerprint(Ingest(source="s3://photos/x"), tmp_path)
        assert text in str(caught.value)


@pytest.mark.parametrize("source", ["s3:", "s3://", "s3:photos", "s3://Photos/x", "s3://photos/x?y", "s3://photos//x"])
def test_what_is_no_address_is_refused(source: str) -> None:
    """Before anything is asked."""
    with pytest.raises(SourceError, match="is no address of a bucket; expected s3://BUCKET/PREFIX, such as"):
        select.kind(source)


@pytest.mark.parametrize("name", ["cat/../x.png", "../x.png", "cat//x.png", "/x.png"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 takes any name; a folder does not."""
    bucket = bucket_copy.Bucket("s3://photos/pets")
    found = {"Contents": [{"Key": f"pets/{name}", "ETag": '"1"', "Size": 1}]}
    monkeypatch.setattr(type(bucket._files), "call_s3", lambda *_, **__: found)
    with pytest.raises(DataRejected, match="has a name that no file can have; rename or remove it"):
        bucket.objects()
