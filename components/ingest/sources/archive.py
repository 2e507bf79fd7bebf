"""An archive of image files, .zip, .tar or .tar.gz: read like the folder that was packed."""

from pathlib import Path

from components.data.pictures.read_errors import read_errors
from components.ingest.reading.file_hashes import file_hashes
from components.ingest.reading.folder_listing import list_images
from components.ingest.reading.image_files import open_images, preview_of
from components.ingest.reading.image_source import ImageSource, Preview, combined, is_file
from components.ingest.reading.listing import Listing
from components.ingest.reading.naming import ARCHIVES, source_name
from components.settings.sections import Ingest

SOURCE = "FOLDER"


def serves(source: str) -> bool:
    return source.lower().endswith(ARCHIVES) and is_file(source)


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the archive and of its name: nothing is unpacked for it."""
    archive = _archive(params)
    return _identity(archive, _sha256(archive, cache))


def read(params: Ingest, cache: Path) -> ImageSource:
    """Open the archive that is there now: one that replaces it while it is read is left to the next run."""
    archive = _archive(params)
    sha256 = _sha256(archive, cache)
    listing = _listing(archive, sha256, params, cache)
    return open_images(listing, params, cache, lambda _hashes: _identity(archive, sha256))


def preview(params: Ingest, cache: Path) -> Preview | None:
    """None where the archive has not been unpacked yet."""
    from components.ingest.reading.unpacking import folder_of

    archive = _archive(params)
    sha256 = _sha256(archive, cache)
    there = folder_of(archive, sha256, cache.resolve()).exists()
    return preview_of(_listing(archive, sha256, params, cache), params, cache) if there else None


def _listing(archive: Path, sha256: str, params: Ingest, cache: Path) -> Listing:
    from components.ingest.reading.unpacking import unpacked

    return list_images(unpacked(archive, sha256, cache.resolve()), params, str(archive))


def _identity(archive: Path, sha256: str) -> str:
    return combined(source_name(archive), {"archive": sha256})


def _archive(params: Ingest) -> Path:
    return Path(params.source).resolve()


def _sha256(archive: Path, cache: Path) -> str:
    with read_errors(archive):
        status = archive.stat()
    return file_hashes(archive, {"": status}, cache)[""]
