"""The image files of a listing as a source: their headers first, then their pixels, on all cores."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.ingest.reading import decode_workers, summaries
from components.ingest.reading.decode_workers import Job, Result
from components.ingest.reading.image_source import ImageSource, Shape, SplitByContent, target_shape
from components.ingest.reading.listing import SPLITS, ImageFile, Listing
from components.ingest.reading.unusable_files import UnusableFile, require_none
from components.progress import progress
from components.settings.derived import image_shape
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.reading.image_source import Block

JOB_FILES, JOB_BYTES = 256, 4 * 2**20
BYTES_PER_PIXEL = 12  # decoding, compositing and resizing hold up to three copies of 4 bytes a pixel


@dataclass
class Contents:
    """What is known once all files are decoded."""

    drawn: SplitByContent | None  # where the source has no splits of its own
    warnings: list[str]
    unusable: list[UnusableFile]
    hashes: dict[str, str] = field(default_factory=dict)  # by path
    files: dict[str, list[str]] = field(default_factory=dict)
    brightest: list[int] = field(default_factory=list)  # value of each image of 16 bits


@dataclass
class Headers:
    """The images whose headers can be read, with their shapes; the paths of those with several pages; the others."""

    images: list[ImageFile] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    paged: list[str] = field(default_factory=list)
    unusable: list[UnusableFile] = field(default_factory=list)


def open_images(
    listing: Listing, params: Ingest, cache: Path, fingerprint: Callable[[Mapping[str, str]], str]
) -> ImageSource:
    """Read every image's header, settle size and channels, then decode; *fingerprint* takes the sha256 of each path.

    Files that cannot be used are collected to the end and refused together, by the last block. Raises DataRejected
    where there are no others.
    """
    headers = read_headers(listing)
    if not headers.images:
        require_none(headers.unusable, len(headers.unusable), listing.root, listing.where, cache)
    sizes = Counter(shape[:2] for shape in headers.shapes)
    shape = target_shape((*working_size(sizes), max(shape[2] for shape in headers.shapes)), params)
    splits = {image.split for image in headers.images}
    drawn = SplitByContent(params.test_share) if splits == {""} else None
    contents = Contents(drawn, [*listing.warnings, *summaries.left_out(listing)], headers.unusable)
    contents.files = {split: [] for split in SPLITS if split in splits | {"train", "test"}}
    return ImageSource(
        classes=listing.classes,
        shape=shape,
        images=len(headers.images),
        blocks=_blocks(listing, headers, shape, params.fit, contents, cache),
        fingerprint=lambda: fingerprint(contents.hashes),
        origin=listing.where,
        files=contents.files,
        drawn=drawn,
        notes=[
            *listing.notes,
            *summaries.sizes(sizes, shape, params),
            *summaries.pages(headers.paged),
            *summaries.ignored(listing),
        ],
        warnings=contents.warnings,
    )


def working_size(sizes: Mapping[tuple[int, int], int]) -> tuple[int, int]:
    """The (H, W) to read images of *sizes*, (H, W) -> number of images, into, where no setting says it."""
    return image_shape(sizes, sum(sizes.values()))


def read_headers(listing: Listing) -> Headers:
    headers = Headers(unusable=list(listing.unusable))
    jobs = [Job(_paths(listing, images)) for images in _batches(listing.images, JOB_FILES)]
    done = 0
    with progress("ingest: image headers", len(listing.images)) as advance:
        for result in decode_workers.work(jobs, decode_workers.cores()):
            part = listing.images[done : done + len(result.shapes)]
            for image, shape, problem, pages in zip(part, result.shapes, result.problems, result.pages, strict=True):
                if problem:
                    headers.unusable.append(_unusable(image, problem))
                    continue
                headers.images.append(image)
                headers.shapes.append(shape)
                headers.paged += [image.path] if pages else []
            done += len(part)
            advance(done)
    return headers


def _batches(images: Sequence[ImageFile], count: int) -> Iterator[Sequence[ImageFile]]:
    for start in range(0, len(images), count):
        yield images[start : start + count]


def _paths(listing: Listing, images: Sequence[ImageFile]) -> list[str]:
    return [str(listing.root / image.path) for image in images]


def _unusable(image: ImageFile, reason: str) -> UnusableFile:
    return UnusableFile(image.split, image.path, image.name, reason)


def _blocks(
    listing: Listing, headers: Headers, shape: Shape, fit: str, contents: Contents, cache: Path
) -> "Iterator[Block]":
    """Decode in order; *contents* is complete at the end. Raises DataRejected there, with every unusable file."""
    batches = list(_batches(headers.images, max(1, min(JOB_FILES, JOB_BYTES // math.prod(shape)))))
    needed = iter(_memory(headers))
    jobs = [Job(_paths(listing, images), shape, fit, max(next(needed) for _ in images)) for images in batches]
    number = {name: label for label, name in enumerate(listing.classes)}
    for images, result in zip(batches, decode_workers.work(jobs, decode_workers.cores()), strict=True):
        yield from _by_split(images, result, shape, number, contents)
    require_none(contents.unusable, len(listing), listing.root, listing.where, cache)
    contents.warnings += summaries.too_dim(contents.brightest)


def _memory(headers: Headers) -> Iterator[int]:
    """The bytes that decoding each image takes at most."""
    for image, (height, width, _) in zip(headers.images, headers.shapes, strict=True):
        yield image.status.st_size + BYTES_PER_PIXEL * height * width


def _by_split(
    batch: Sequence[ImageFile], result: Result, shape: Shape, number: Mapping[str, int], contents: Contents
) -> "Iterator[Block]":
    """The decoded images of *batch*, a block for each split."""
    import numpy as np

    contents.unusable += [_unusable(image, text) for image, text in zip(batch, result.problems, strict=True) if text]
    contents.hashes.update(zip((image.path for image in batch), result.sha256, strict=True))
    contents.brightest += result.brightest
    images = [image for image, problem in zip(batch, result.problems, strict=True) if not problem]
    drawn = contents.drawn
    splits = [drawn.split(contents.hashes[i.path], i.name) if drawn else i.split for i in images]
    pixels = np.frombuffer(result.pixels, np.uint8).reshape(len(images), *shape)
    labels = np.array([number[image.name] for image in images], np.int64)
    for split, paths in contents.files.items():
        chosen = [i for i, assigned in enumerate(splits) if assigned == split]
        paths.extend(images[i].path for i in chosen)
        if chosen:
            yield split, pixels[chosen], labels[chosen]
