"""The image files of a listing as a source: their headers first, then their pixels, on all cores."""

import json
import math
import os
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from components.data.pictures import decode_workers
from components.data.pictures.decode_workers import Job, Result
from components.data.pictures.resizing import Resizing, Shape
from components.ingest.reading import summaries
from components.ingest.reading.content_hashes import ContentHashes
from components.ingest.reading.content_split import SplitByContent
from components.ingest.reading.file_hashes import set_known_hashes, stat_file
from components.ingest.reading.image_source import ImageSource, Preview, target_shape
from components.ingest.reading.listing import SPLITS, ImageFile, Listing
from components.ingest.reading.unusable_files import NoUsableFile, UnusableFile
from components.progress import progress, say
from components.settings.derived import image_shape
from components.settings.sections import Ingest
from components.system.processor import cores
from components.system.stat_table import StatTable

if TYPE_CHECKING:
    from components.ingest.reading.earlier_images import EarlierImages
    from components.ingest.reading.image_source import Block
    from components.ingest.reading.recorded_files import Places

    Batch = tuple[range, Places | None, Sequence[int]]

JOB_FILES, JOB_BYTES = 256, 4 * 2**20
BYTES_PER_PIXEL = 12  # decoding, compositing and resizing hold up to three copies of 4 bytes a pixel


@dataclass
class Contents:
    """What is known once all files are decoded."""

    hashes: ContentHashes
    drawn: SplitByContent | None  # where the source has no splits of its own
    warnings: list[str]
    unusable: list[UnusableFile]
    files: dict[str, list[str]] = field(default_factory=dict)
    brightest: list[int] = field(default_factory=list)  # value of each image of 16 bits
    earlier: Path | None = None  # an artifact of ingest that may hold some of the images

    def reuse(self, artifact: Path) -> None:
        self.earlier = artifact


@dataclass
class Headers:
    """How many images of each split have headers that can be read, and which have several pages.

    The shapes are those of all images, (0, 0, 0) where the header cannot be read.
    """

    splits: Counter[str] = field(default_factory=Counter)
    shapes: list[Shape] = field(default_factory=list)
    paged: list[str] = field(default_factory=list)
    unusable: list[UnusableFile] = field(default_factory=list)

    @property
    def images(self) -> int:
        """The number of those that can be read."""
        return self.splits.total()

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """(H, W) -> number of images."""
        return Counter(shape[:2] for shape in self.shapes if all(shape))

    def shape(self, params: Ingest) -> Shape:
        """The (H, W, C) to read all of them into: what *params* set, and otherwise what follows from the images."""
        size = image_shape(self.sizes)
        return target_shape((*size, max(channels for _, _, channels in self.shapes)), params)


def open_images(
    listing: Listing, params: Ingest, cache: Path, fingerprint: Callable[[ContentHashes], str]
) -> ImageSource:
    """Read every image's header, settle size and channels, then decode; *fingerprint* takes the sha256 of each path.

    Files that cannot be used are left out; raises NoUsableFile where there are no others.
    """
    headers = read_headers(listing, cache)
    shape = headers.shape(params)
    splits = set(headers.splits)
    drawn = SplitByContent(params.test_share) if splits == {""} else None
    hashes = ContentHashes(listing.images.paths, listing.images.by_path())
    contents = Contents(hashes, drawn, [*listing.warnings, *summaries.left_out(listing)], list(listing.unusable))
    contents.files = {split: [] for split in SPLITS if split in splits | {"train", "test"}}
    return ImageSource(
        classes=listing.classes,
        shape=shape,
        images=headers.images,
        blocks=_blocks(listing, headers, shape, Resizing.of(params), contents, cache),
        fingerprint=lambda: fingerprint(contents.hashes),
        origin=listing.where,
        files=contents.files,
        hashes=contents.hashes,
        unusable=contents.unusable,
        drawn=drawn,
        brightest=contents.brightest,
        reuse=contents.reuse,
        notes=[
            *listing.notes,
            *summaries.sizes(headers.sizes, shape, params),
            *summaries.pages(headers.paged),
            *summaries.ignored(listing),
        ],
        warnings=contents.warnings,
    )


def preview_of(listing: Listing, params: Ingest, cache: Path) -> Preview:
    """What `open_images` will give, from headers alone."""
    headers = read_headers(listing, cache)
    images, count = headers.images, headers.splits
    test = round(images * params.test_share) if "" in count else count["test"]
    return Preview(
        images=images,
        train=images - test - count["validation"],
        validation=count["validation"],
        test=test,
        classes=len(listing.classes),
        shape=headers.shape(params),
    )


def read_headers(listing: Listing, cache: Path) -> Headers:
    """The headers of all images; those of unchanged files are remembered in *cache*. Raises NoUsableFile."""
    images, table = listing.images, StatTable(stat_file(cache, "headers", listing.root))
    order = images.by_path()
    texts: list[str | None] = [None] * len(images)  # few differ, and each of those is kept once
    for index, text in zip(order, table.known(images.in_path_order()), strict=True):
        texts[index] = text and sys.intern(text)
    unknown = array("I", (index for index, text in enumerate(texts) if text is None))
    for index, text in _survey(listing, unknown):
        texts[index] = sys.intern(text)
    if unknown or table.rows != len(images):
        readable = (None if _parsed(text := texts[index] or "")[-1] else text for index in order)
        with suppress(OSError):
            table.keep(images.in_path_order(), readable)
    return _headers(listing, (_parsed(text or "") for text in texts))


@cache
def _parsed(text: str) -> tuple[Shape, bool, str]:
    """The shape in the JSON *text*, whether there are several pages, and the problem."""
    height, width, channels, pages, problem = json.loads(text)
    return (height, width, channels), pages, problem


def _headers(listing: Listing, read: Iterable[tuple[Shape, bool, str]]) -> Headers:
    headers = Headers(unusable=list(listing.unusable))
    for index, (shape, pages, problem) in enumerate(read):
        headers.shapes.append(shape)
        if problem:
            headers.unusable.append(_unusable(listing.images[index], problem))
            continue
        headers.splits[listing.images.split(index)] += 1
        if pages:
            headers.paged.append(listing.images.paths[index])
    if not headers.images:
        raise NoUsableFile(headers.unusable, listing.where)
    return headers


def _survey(listing: Listing, indices: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The index of each of the images *indices*, and JSON of [height, width, channels, several pages?, problem]."""
    parts = [indices[start : start + JOB_FILES] for start in range(0, len(indices), JOB_FILES)]
    results = decode_workers.work((Job(_paths(listing, part)) for part in parts), cores())
    done = 0
    with progress("ingest: image headers", len(indices)) as advance:
        for part, result in zip(parts, results, strict=True):
            rows = zip(part, result.shapes, result.pages, result.problems, strict=True)
            yield from ((index, json.dumps([*shape, pages, problem])) for index, shape, pages, problem in rows)
            advance(done := done + len(part))


def _paths(listing: Listing, indices: Iterable[int]) -> list[str]:
    root = str(listing.root)
    return [os.path.join(root, listing.images.paths[index]) for index in indices]  # noqa: PTH118 - no Path each


def _unusable(image: ImageFile, reason: str) -> UnusableFile:
    return UnusableFile(image.split, image.path, image.name, reason)


def _blocks(
    listing: Listing, headers: Headers, shape: Shape, resizing: Resizing, contents: Contents, cache: Path
) -> "Iterator[Block]":
    """Decode in order, but for what the earlier artifact holds; *contents* is complete at the end.

    Files whose headers cannot be read are read too, for their hashes.
    """
    earlier, decoded = _earlier(listing, shape, contents, cache), 0
    batches, again = tee(_batches(len(listing.images), shape, earlier))
    jobs = (
        Job(_paths(listing, fresh), shape, resizing, max(_memory(listing, headers, index) for index in fresh))
        for _, _, fresh in batches
        if fresh
    )
    results = decode_workers.work(jobs, cores())
    for part, places, fresh in again:
        result = next(results) if fresh else Result()
        whole = earlier.completed(part, places, result) if earlier and places is not None else result
        decoded += len(fresh)
        yield from _by_split(part, whole, shape, listing, contents)
    contents.warnings += summaries.too_dim(contents.brightest)
    if earlier:
        taken = len(listing.images) - decoded
        say(f"  ingest: {decoded:,} of {len(listing.images):,} images decoded, {taken:,} taken from {earlier.name}")


def _batches(images: int, shape: Shape, earlier: "EarlierImages | None") -> "Iterator[Batch]":
    """Each batch of images that are decoded at once: their indices, their places in *earlier*, and which to decode."""
    size = max(1, min(JOB_FILES, JOB_BYTES // math.prod(shape)))
    for start in range(0, images, size):
        part = range(start, min(start + size, images))
        yield (part, *earlier.places(part)) if earlier else (part, None, part)


def _earlier(listing: Listing, shape: Shape, contents: Contents, cache: Path) -> "EarlierImages | None":
    """The images of the earlier artifact, where it has them in *shape*."""
    if contents.earlier is None:
        return None
    from components.ingest.reading.earlier_images import EarlierImages

    set_known_hashes(contents.hashes, listing.root, listing.images, cache)  # until the images are read
    earlier = EarlierImages(contents.earlier, contents.hashes)
    return earlier if earlier.shape == shape else None


def _memory(listing: Listing, headers: Headers, index: int) -> int:
    """The bytes that decoding an image takes at most."""
    height, width, _ = headers.shapes[index]
    return listing.images.status(index).st_size + BYTES_PER_PIXEL * height * width


def _by_split(part: range, result: Result, shape: Shape, listing: Listing, contents: Contents) -> "Iterator[Block]":
    """The decoded images with the indices *part*, a block for each split."""
    import numpy as np

    images, drawn = listing.images, contents.drawn
    usable = [index for index, problem in zip(part, result.problems, strict=True) if not problem]
    for index, problem in zip(part, result.problems, strict=True):
        if problem:
            contents.unusable.append(_unusable(images[index], problem))
    contents.hashes.set_all(array("I", part), result.sha256)
    contents.brightest += result.brightest
    hashes = (result.sha256[index - part.start] for index in usable)
    splits = list(map(drawn.split, hashes)) if drawn else list(map(images.split, usable))
    pixels = np.frombuffer(result.pixels, np.uint8).reshape(len(usable), *shape)
    labels = np.array([listing.number[images.name(index)] for index in usable], np.int64)
    for split, paths in contents.files.items():
        chosen = [place for place, assigned in enumerate(splits) if assigned == split]
        paths.extend(images.paths[usable[place]] for place in chosen)
        if chosen:
            yield split, pixels[chosen], labels[chosen]
