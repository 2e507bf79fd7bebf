"""A folder of image files, one folder per class; the test split is its own or chosen by content hash."""

from collections.abc import Mapping
from pathlib import Path

from components.ingest.reading.file_hashes import file_hashes
from components.ingest.reading.folder_listing import list_images
from components.ingest.reading.image_files import open_images, preview_of
from components.ingest.reading.image_source import ImageSource, Preview, combined, is_folder
from components.ingest.reading.listing import Listing
from components.ingest.reading.naming import folder_name
from components.settings.sections import Ingest

SOURCE = "FOLDER"


def serves(source: str) -> bool:
    return is_folder(source)


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the folder's name and of the paths and contents of its images."""
    listing = _listing(params)
    statuses = {image.path: image.status for image in listing.images}
    return _identity(listing, file_hashes(listing.root, statuses, cache))


def read(params: Ingest, cache: Path) -> ImageSource:
    listing = _listing(params)
    return open_images(listing, params, cache, lambda hashes: _identity(listing, hashes))


def preview(params: Ingest, cache: Path) -> Preview:
    return preview_of(_listing(params), params, cache)


def _listing(params: Ingest) -> Listing:
    return list_images(Path(params.source).resolve())


def _identity(listing: Listing, hashes: Mapping[str, str]) -> str:
    """Files too large to be hashed count by their size."""
    return combined(folder_name(listing.root), {**hashes, **{file.path: file.reason for file in listing.unusable}})
