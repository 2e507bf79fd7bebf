"""s3://BUCKET/PREFIX, images in a bucket: laid out and read like a folder, from a copy in the cache."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import SourceError
from components.ingest.reading.image_source import ImageSource, combined
from components.ingest.reading.naming import source_name
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.reading.bucket_copy import Object

SOURCE = "s3://BUCKET/PREFIX"
URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\s?#]+)*/?")


def serves(source: str) -> bool:
    """Whether *source* is an address of S3; raises SourceError where it is none that can be read."""
    if source.startswith("s3:") and not URL.fullmatch(source):
        raise SourceError(f"{source!r} is no address of a bucket; expected {SOURCE}, such as s3://photos/animals")
    return source.startswith("s3:")


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the paths and etags of images and tables, for which nothing is fetched; of no other object."""
    from components.ingest.reading.bucket_copy import Bucket

    return _identity(params, Bucket(params.source).objects())


def read(params: Ingest, cache: Path) -> ImageSource:
    """Fetch what is new, then read the copy."""
    from components.ingest.reading.bucket_copy import Bucket, folder_of
    from components.ingest.reading.folder_listing import list_images
    from components.ingest.reading.image_files import open_images

    bucket, folder = Bucket(params.source), folder_of(params.source, cache.resolve())
    objects = bucket.objects()
    bucket.fetch(objects, folder)
    listing = list_images(folder / "files", params, bucket.url)
    return open_images(listing, params, cache, lambda _hashes: _identity(params, objects))


def _identity(params: Ingest, objects: "Mapping[str, Object]") -> str:
    from components.ingest.reading.bucket_copy import is_read

    etags = {path: f"{found.etag} {found.size}" for path, found in objects.items() if is_read(path)}
    return combined(source_name(Path("/", params.source.removeprefix("s3://"))), etags)
