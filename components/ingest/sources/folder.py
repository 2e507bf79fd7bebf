"""A folder of PNG and JPEG files, a folder for each class; the test split is the folder's own or by hash of content."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from components.errors import DataRejected
from components.ingest.sources import decode_workers
from components.ingest.sources.base import Contents, Shape, combined, is_test, wanted
from components.ingest.sources.file_hashes import file_hashes
from components.ingest.sources.folder_listing import Listing, listing
from components.progress import progress
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.ingest.sources.base import Block

JOB_FILES, JOB_BYTES = 256, 4 * 2**20
# Decoding, laying over white and resizing hold up to three copies of 4 bytes a pixel; the processes share this much.
BYTES_PER_PIXEL, SHARED_BYTES = 12, 10**9
NAMED = 10


def fingerprint(params: Ingest, cache: Path) -> str:
    """The hash of the folder's name, and of the paths and contents of its images."""
    root = Path(params.source).resolve()
    statuses = {image.path: image.status for image in listing(root).images}
    return combined(root.name, file_hashes(root, statuses, cache))


def read(params: Ingest) -> Contents:
    """Look at every picture's header, settle size and channels, then decode on all cores."""
    found = listing(Path(params.source).resolve())
    shapes = _survey(found)
    shape = _shape(found, shapes, params)
    pixels = max(height * width for height, width, _ in shapes)
    processes = max(1, min(decode_workers.cores(), SHARED_BYTES // (BYTES_PER_PIXEL * pixels)))
    hashes: dict[str, str] = {}
    files: dict[str, list[str]] = {"train": [], "test": []}
    return Contents(
        classes=found.classes,
        shape=shape,
        images=len(found.images),
        blocks=_blocks(found, shape, processes, params.test_share, hashes, files),
        fingerprint=lambda: combined(found.root.name, hashes),
        files=files,
        facts={"from": str(found.root), "warnings": _warnings(found)},
    )


def _survey(found: Listing) -> list[Shape]:
    jobs = [decode_workers.Job(paths) for paths in _paths(found, JOB_FILES)]
    shapes: list[Shape] = []
    with progress("look at pictures", len(found.images)) as advance:
        for done in decode_workers.work(jobs, decode_workers.cores()):
            shapes.extend(done.shapes)
            advance(len(shapes))
    return shapes


def _paths(found: Listing, together: int) -> Iterator[list[str]]:
    for start in range(0, len(found.images), together):
        yield [str(found.root / image.path) for image in found.images[start : start + together]]


def _shape(found: Listing, shapes: list[Shape], params: Ingest) -> Shape:
    """The shape to read into; raises DataRejected where the pictures differ in size and no size is set."""
    sizes = Counter(shape[:2] for shape in shapes)
    common = sizes.most_common(1)[0][0]
    if len(sizes) > 1 and not params.image_size:
        odd = next(i for i, shape in enumerate(shapes) if shape[:2] != common)
        usual = next(i for i, shape in enumerate(shapes) if shape[:2] == common)
        told = [f"{found.images[i].path} is {shapes[i][1]} x {shapes[i][0]}" for i in (usual, odd)]
        side = min(1024, max(1, round(median(side for shape in shapes for side in shape[:2]))))
        raise DataRejected(
            f"the pictures in {found.root} differ in size ({', '.join(told)});"
            f" bring them to one with --set ingest.image_size={side}"
        )
    return wanted((*common, max(shape[2] for shape in shapes)), params)


def _blocks(
    found: Listing, shape: Shape, processes: int, share: float, hashes: dict[str, str], files: dict[str, list[str]]
) -> "Iterator[Block]":
    """Decode in order; fills *hashes* by path, and *files* with each split's paths."""
    import numpy as np

    together = max(1, min(JOB_FILES, JOB_BYTES // math.prod(shape)))
    jobs = [decode_workers.Job(paths, shape) for paths in _paths(found, together)]
    number = {name: label for label, name in enumerate(found.classes)}
    for job, done in enumerate(decode_workers.work(jobs, processes)):
        part = found.images[job * together : (job + 1) * together]
        images = np.frombuffer(done.pixels, np.uint8).reshape(len(part), *shape)
        labels = np.array([number[image.name] for image in part], np.int64)
        hashes.update(zip((image.path for image in part), done.sha256, strict=True))
        splits = [
            image.split or ("test" if is_test(digest, share) else "train")
            for image, digest in zip(part, done.sha256, strict=True)
        ]
        for split, paths in files.items():
            chosen = [i for i, one in enumerate(splits) if one == split]
            paths.extend(part[i].path for i in chosen)
            if chosen:
                yield split, images[chosen], labels[chosen]


def _warnings(found: Listing) -> list[str]:
    if not found.others:
        return []
    names = ", ".join(sorted(found.others)[:NAMED]) + (", ..." if len(found.others) > NAMED else "")
    return [f"{len(found.others):,} in the class folders are no PNG or JPEG files and were left out: {names}"]
