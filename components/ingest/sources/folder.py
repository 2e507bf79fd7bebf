"""A folder of image files, by class folders or a table of labels; the test split is its own or drawn by content."""

import os
from collections.abc import Iterable, Mapping
from heapq import merge
from pathlib import Path
from types import MappingProxyType

from components.data.pictures.read_errors import read_errors
from components.ingest.reading.content_hashes import ContentHashes
from components.ingest.reading.file_hashes import file_hashes, image_hashes, sha256_or_denied
from components.ingest.reading.folder_listing import list_images
from components.ingest.reading.folder_state import FolderState
from components.ingest.reading.image_files import open_images, preview_of
from components.ingest.reading.image_source import ImageSource, Preview, combined, combined_in_order, is_folder
from components.ingest.reading.labelled_folder import find_table, image_files
from components.ingest.reading.listing import Listing
from components.ingest.reading.naming import source_name
from components.settings.sections import Ingest

SOURCE = "FOLDER"
TABLE = "the table of labels"
LISTED: dict[str, tuple[Path, Listing]] = {}  # by its fingerprint: the one from which the last was computed
NO_HASHES: Mapping[str, str] = MappingProxyType({})


def serves(source: str) -> bool:
    return is_folder(source)


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the folder's name and of the paths and contents of its images, and of its table of labels.

    A table is not read for it, only hashed. A folder that did not change is not listed again.
    """
    state = FolderState(_root(params), params, cache)
    identity = state.fingerprint() or _computed(params, cache, state)
    if identity not in LISTED:
        LISTED.clear()
    return identity


def _computed(params: Ingest, cache: Path, state: FolderState) -> str:
    """The same from the folder itself, for *state* to remember."""
    listing = Listing(state.root)
    if table := find_table(listing, params):
        files = image_files(listing)
        identity = _of_table(state.root, table, files, cache)
        with read_errors(table):
            files |= {os.path.relpath(table, state.root): table.stat()}
        state.keep(identity, files, listing)
        return identity
    images = list_images(state.root, params)
    identity = _combined(images, image_hashes(state.root, images.images, cache, sha256_or_denied).pairs())
    state.keep(identity, images.images, listing, images)
    LISTED.clear()
    LISTED[identity] = state.file, images
    return identity


def read(params: Ingest, cache: Path) -> ImageSource:
    """Open the images that are there now, or were when `fingerprint` looked: later ones are left to the next run."""
    root = _root(params)
    table = find_table(Listing(root), params)
    statuses = image_files(Listing(root)) if table else {}
    listing = _last_listing(FolderState(root, params, cache)) or list_images(root, params)

    def identity(hashes: ContentHashes) -> str:
        if table:
            return _of_table(root, table, statuses, cache, dict(hashes.pairs()))
        return _combined(listing, hashes.pairs())

    return open_images(listing, params, cache, identity)


def _last_listing(state: FolderState) -> Listing | None:
    """The listing from which this process computed the last fingerprint of the same folder, for one reader."""
    file, listing = LISTED.popitem()[1] if LISTED else (None, None)
    return listing if file == state.file else None


def preview(params: Ingest, cache: Path) -> Preview:
    return preview_of(list_images(_root(params), params), params, cache)


def _root(params: Ingest) -> Path:
    return Path(params.source).resolve()


def _combined(listing: Listing, hashes: Iterable[tuple[str, str]]) -> str:
    """Of *hashes*, which are in order; files too large to be hashed count by their size."""
    large = sorted((file.path, file.reason) for file in listing.unusable)
    return combined_in_order(source_name(listing.root), merge(hashes, large))


def _of_table(
    root: Path, table: Path, images: Mapping[str, os.stat_result], cache: Path, decoded: Mapping[str, str] = NO_HASHES
) -> str:
    """Of all *images*, whether they have a row or not; *decoded* are the hashes of those that have been read."""
    with read_errors(table):
        statuses = {**images, str(table): table.stat()}
    hashes = {**file_hashes(root, statuses, cache, sha256_or_denied), **decoded}
    hashes[TABLE] = hashes.pop(str(table))
    return combined(source_name(root), hashes)
