"""A folder of PNG and JPEG files, one folder per class; the test split is its own or chosen by content hash."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import DataRejected
from components.ingest.reading import decode_workers
from components.ingest.reading.file_hashes import file_hashes
from components.ingest.reading.folder_listing import Listing, list_images
from components.ingest.reading.image_source import ImageSource, Shape, SplitByContent, combined, is_folder, target_shape
from components.progress import progress
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.reading.image_source import Block

SOURCE = "FOLDER"
JOB_FILES, JOB_BYTES = 256, 4 * 2**20
# Decoding, compositing and resizing hold up to three copies of 4 bytes a pixel; the processes share this much.
BYTES_PER_PIXEL, SHARED_BYTES = 12, 10**9
LISTED = 10
DIM = 2**14  # of 65,536: cameras and microscopes save 8, 10, 12 or 14 bits in 16, unscaled


@dataclass
class Contents:
    """What is known once all files are decoded."""

    drawn: SplitByContent | None  # where the folder has no splits of its own
    warnings: list[str]
    hashes: dict[str, str] = field(default_factory=dict)  # by path
    files: dict[str, list[str]] = field(default_factory=lambda: {"train": [], "test": []})
    brightest: list[int] = field(default_factory=list)  # value of each image of 16 bits


def serves(source: str) -> bool:
    return is_folder(source)


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the folder's name and of the paths and contents of its images."""
    root = Path(params.source).resolve()
    statuses = {image.path: image.status for image in list_images(root).images}
    return combined(root.name, file_hashes(root, statuses, cache))


def read(params: Ingest) -> ImageSource:
    """Read every image's header, settle size and channels, then decode on all cores."""
    listing = list_images(Path(params.source).resolve())
    shapes = _survey(listing)
    shape = _shape(listing, shapes, params)
    pixels = max(height * width for height, width, _ in shapes)
    processes = max(1, min(decode_workers.cores(), SHARED_BYTES // (BYTES_PER_PIXEL * pixels)))
    drawn = None if listing.images[0].split else SplitByContent(params.test_share)
    contents = Contents(drawn, _left_out(listing))
    return ImageSource(
        classes=listing.classes,
        shape=shape,
        images=len(listing.images),
        blocks=_blocks(listing, shape, processes, contents),
        fingerprint=lambda: combined(listing.root.name, contents.hashes),
        origin=str(listing.root),
        files=contents.files,
        drawn=drawn,
        warnings=contents.warnings,
    )


def _survey(listing: Listing) -> list[Shape]:
    jobs = [decode_workers.Job(paths) for paths in _paths(listing, JOB_FILES)]
    shapes: list[Shape] = []
    with progress("ingest: image headers", len(listing.images)) as advance:
        for result in decode_workers.work(jobs, decode_workers.cores()):
            shapes.extend(result.shapes)
            advance(len(shapes))
    return shapes


def _paths(listing: Listing, job_files: int) -> Iterator[list[str]]:
    for start in range(0, len(listing.images), job_files):
        yield [str(listing.root / image.path) for image in listing.images[start : start + job_files]]


def _shape(listing: Listing, shapes: list[Shape], params: Ingest) -> Shape:
    """The shape to read into; raises DataRejected where the images differ in size and no size is set."""
    sizes = Counter(shape[:2] for shape in shapes)
    common = sizes.most_common(1)[0][0]
    if len(sizes) > 1 and not params.image_size:
        odd = next(i for i, shape in enumerate(shapes) if shape[:2] != common)
        usual = next(i for i, shape in enumerate(shapes) if shape[:2] == common)
        examples = [f"{listing.images[i].path} is {shapes[i][1]} x {shapes[i][0]}" for i in (usual, odd)]
        from statistics import median

        side = min(1024, max(1, round(median(side for shape in shapes for side in shape[:2]))))
        raise DataRejected(
            f"the images in {listing.root} differ in size ({', '.join(examples)});"
            f" resize them with --set ingest.image_size={side}"
        )
    return target_shape((*common, max(shape[2] for shape in shapes)), params)


def _blocks(listing: Listing, shape: Shape, processes: int, contents: Contents) -> "Iterator[Block]":
    """Decode in order; *contents* is complete at the end."""
    import numpy as np

    job_files = max(1, min(JOB_FILES, JOB_BYTES // math.prod(shape)))
    jobs = [decode_workers.Job(paths, shape) for paths in _paths(listing, job_files)]
    number = {name: label for label, name in enumerate(listing.classes)}
    for job, result in enumerate(decode_workers.work(jobs, processes)):
        part = listing.images[job * job_files : (job + 1) * job_files]
        images = np.frombuffer(result.pixels, np.uint8).reshape(len(part), *shape)
        labels = np.array([number[image.name] for image in part], np.int64)
        contents.hashes.update(zip((image.path for image in part), result.sha256, strict=True))
        contents.brightest += result.brightest
        drawn = contents.drawn
        splits = [
            drawn.split(sha256, image.name) if drawn else image.split
            for image, sha256 in zip(part, result.sha256, strict=True)
        ]
        for split, paths in contents.files.items():
            chosen = [i for i, assigned in enumerate(splits) if assigned == split]
            paths.extend(part[i].path for i in chosen)
            if chosen:
                yield split, images[chosen], labels[chosen]
    contents.warnings += _too_dim(contents.brightest)


def _too_dim(brightest: list[int]) -> list[str]:
    """A warning where most images of 16 bits use a part of their range, *brightest* being the brightest value of each.

    Scaled to 8 bits, they are nearly black, and may even become equal.
    """
    dim = [value for value in brightest if value < DIM]
    if 2 * len(dim) < len(brightest) or not any(dim):
        return []
    bits = max(8, 2 * math.ceil(max(dim).bit_length() / 2))
    return [
        f"{len(dim):,} of {len(brightest):,} PNG files of 16 bits are nearly black: the brightest value is "
        f"{max(dim):,} of 65,535, as if they held {bits}-bit values. Multiply the values by {2 ** (16 - bits)}"
        + (", or save them in 8 bits" if bits == 8 else "")
    ]


def _left_out(listing: Listing) -> list[str]:
    texts = []
    if listing.left_out:
        reasons = [f"{path} ({reason})" for path, reason in sorted(listing.left_out.items())]
        texts.append(f"left out, as no class or image: {_first(reasons)}")
    if listing.others:
        names = _first(sorted(listing.others))
        texts.append(
            f"{len(listing.others):,} in the class folders are not PNG or JPEG files and were left out: {names}"
        )
    return texts


def _first(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
