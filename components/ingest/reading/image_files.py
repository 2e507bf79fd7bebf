"""The image files of a listing as a source: their headers first, then their pixels, on all cores."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.data.pictures import decode_workers
from components.data.pictures.decode_workers import Job, Result
from components.data.pictures.resizing import Resizing, Shape
from components.ingest.reading import summaries
from components.ingest.reading.content_split import SplitByContent
from components.ingest.reading.file_hashes import known_hashes, stat_file
from components.ingest.reading.image_source import ImageSource, Preview, target_shape
from components.ingest.reading.listing import SPLITS, ImageFile, Listing
from components.ingest.reading.unusable_files import NoUsableFile, UnusableFile
from components.progress import progress, say
from components.settings.derived import image_shape
from components.settings.sections import Ingest
from components.system.processor import cores
from components.system.stat_cache import StatCache

if TYPE_CHECKING:
    from components.ingest.reading.earlier_images import EarlierImages
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
    earlier: Path | None = None  # an artifact of ingest that may hold some of the images

    def reuse(self, artifact: Path) -> None:
        self.earlier = artifact


@dataclass
class Headers:
    """The images whose headers can be read; the shapes of all, (0, 0, 0) for the others; which have several pages."""

    images: list[ImageFile] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    paged: list[str] = field(default_factory=list)
    unusable: list[UnusableFile] = field(default_factory=list)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """(H, W) -> number of images."""
        return Counter(shape[:2] for shape in self.shapes if all(shape))

    def shape(self, params: Ingest) -> Shape:
        """The (H, W, C) to read all of them into: what *params* set, and otherwise what follows from the images."""
        size = image_shape(self.sizes)
        return target_shape((*size, max(channels for _, _, channels in self.shapes)), params)


def open_images(
    listing: Listing, params: Ingest, cache: Path, fingerprint: Callable[[Mapping[str, str]], str]
) -> ImageSource:
    """Read every image's header, settle size and channels, then decode; *fingerprint* takes the sha256 of each path.

    Files that cannot be used are left out; raises NoUsableFile where there are no others.
    """
    headers = read_headers(listing, cache)
    shape = headers.shape(params)
    splits = {image.split for image in headers.images}
    drawn = SplitByContent(params.test_share) if splits == {""} else None
    contents = Contents(drawn, [*listing.warnings, *summaries.left_out(listing)], list(listing.unusable))
    contents.files = {split: [] for split in SPLITS if split in splits | {"train", "test"}}
    return ImageSource(
        classes=listing.classes,
        shape=shape,
        images=len(headers.images),
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
    images, count = len(headers.images), Counter(image.split for image in headers.images)
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
    known = StatCache(stat_file(cache, "headers", listing.root))
    found = {image.path: known.get(image.path, image.status) for image in listing.images}
    fresh = _survey(listing, [image for image in listing.images if not found[image.path]])
    with suppress(OSError):
        statuses = {image.path: image.status for image in listing.images}
        known.update(statuses, {path: text for path, text in fresh.items() if not json.loads(text)[-1]})
    headers = Headers(unusable=list(listing.unusable))
    for image in listing.images:
        height, width, channels, pages, problem = json.loads(found[image.path] or fresh[image.path])
        headers.shapes.append((height, width, channels))
        if problem:
            headers.unusable.append(_unusable(image, problem))
        else:
            headers.images.append(image)
            headers.paged += [image.path] if pages else []
    if not headers.images:
        raise NoUsableFile(headers.unusable, listing.where)
    return headers


def _survey(listing: Listing, images: Sequence[ImageFile]) -> dict[str, str]:
    """path -> JSON of [height, width, channels, several pages?, problem] of each of *images*."""
    batches = list(_batches(images, JOB_FILES))
    results = decode_workers.work([Job(_paths(listing, batch)) for batch in batches], cores())
    headers = dict[str, str]()
    with progress("ingest: image headers", len(images)) as advance:
        for batch, result in zip(batches, results, strict=True):
            rows = zip(batch, result.shapes, result.pages, result.problems, strict=True)
            headers |= {image.path: json.dumps([*shape, pages, problem]) for image, shape, pages, problem in rows}
            advance(len(headers))
    return headers


def _batches(images: Sequence[ImageFile], count: int) -> Iterator[Sequence[ImageFile]]:
    for start in range(0, len(images), count):
        yield images[start : start + count]


def _paths(listing: Listing, images: Sequence[ImageFile]) -> list[str]:
    return [str(listing.root / image.path) for image in images]


def _unusable(image: ImageFile, reason: str) -> UnusableFile:
    return UnusableFile(image.split, image.path, image.name, reason)


def _blocks(
    listing: Listing, headers: Headers, shape: Shape, resizing: Resizing, contents: Contents, cache: Path
) -> "Iterator[Block]":
    """Decode in order, but for what the earlier artifact holds; *contents* is complete at the end.

    Files whose headers cannot be read are read too, for their hashes.
    """
    earlier = _earlier(listing, shape, contents, cache)
    size = max(1, min(JOB_FILES, JOB_BYTES // math.prod(shape)))
    batches = [(images, earlier.batch(images) if earlier else None) for images in _batches(listing.images, size)]
    fresh = [batch.decoded if batch else images for images, batch in batches]
    needed = iter(_memory(listing.images, headers.shapes))
    memory = [max(next(needed) for _ in images) for images, _ in batches]
    paths = [_paths(listing, images) for images in fresh]
    jobs = [Job(some, shape, resizing, most) for some, most in zip(paths, memory, strict=True) if some]
    results = decode_workers.work(jobs, cores())
    number = {name: label for label, name in enumerate(listing.classes)}
    for (images, batch), decoded in zip(batches, fresh, strict=True):
        result = next(results) if decoded else Result()
        whole = earlier.completed(batch, result) if earlier and batch else result
        yield from _by_split(images, whole, shape, number, contents)
    contents.warnings += summaries.too_dim(contents.brightest)
    if earlier:
        _report(sum(map(len, fresh)), len(listing.images), earlier.name)


def _earlier(listing: Listing, shape: Shape, contents: Contents, cache: Path) -> "EarlierImages | None":
    """The images of the earlier artifact, where it has them in *shape*."""
    if contents.earlier is None:
        return None
    from components.ingest.reading.earlier_images import EarlierImages

    hashes = known_hashes(listing.root, {image.path: image.status for image in listing.images}, cache)
    earlier = EarlierImages(contents.earlier, hashes)
    return earlier if earlier.shape == shape else None


def _report(decoded: int, images: int, name: str) -> None:
    say(f"  ingest: {decoded:,} of {images:,} images decoded, {images - decoded:,} taken from {name}")


def _memory(images: Sequence[ImageFile], shapes: Sequence[Shape]) -> Iterator[int]:
    """The bytes that decoding each image takes at most."""
    for image, (height, width, _) in zip(images, shapes, strict=True):
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
    splits = [drawn.split(contents.hashes[i.path]) if drawn else i.split for i in images]
    pixels = np.frombuffer(result.pixels, np.uint8).reshape(len(images), *shape)
    labels = np.array([number[image.name] for image in images], np.int64)
    for split, paths in contents.files.items():
        chosen = [i for i, assigned in enumerate(splits) if assigned == split]
        paths.extend(images[i].path for i in chosen)
        if chosen:
            yield split, pixels[chosen], labels[chosen]
