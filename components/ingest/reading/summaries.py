"""What a user should know about a folder of images, a sentence each: sizes, pages, depth, and what was not read."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from components.data.pictures.picture_files import EXPECTED
from components.data.pictures.resizing import Shape
from components.ingest.reading.listing import Listing
from components.settings.sections import Ingest

LISTED = 10
DIM = 2**14  # of 65,536: cameras and microscopes save 8, 10, 12 or 14 bits in 16, unscaled
FITTED = {
    "pad": "edge pixels are repeated around images of other proportions (ingest.fit=crop or stretch changes that)",
    "crop": "images of other proportions are cropped to their centre (ingest.fit=pad or stretch changes that)",
    "stretch": "images of other proportions are stretched (ingest.fit=pad or crop keeps them)",
}


def sizes(counts: Mapping[tuple[int, int], int], shape: Shape, params: Ingest) -> list[str]:
    """How many images differ in size, and the size at which all are read; nothing where they are read as they are."""
    (common, usual), images = Counter(counts).most_common(1)[0], sum(counts.values())
    smallest, largest = (_size(chosen(counts, key=math.prod)) for chosen in (min, max))
    if len(counts) == 1 and common == shape[:2]:
        return []
    if len(counts) == 1:
        found = f"all {images:,} images are {_size(common)}"
    elif 2 * usual > images:
        odd = f"{images - usual:,} of {images:,} images are not {_size(common)}"
        found = f"{odd}: the smallest is {smallest}, the largest {largest}"
    else:
        found = f"the {images:,} images have {len(counts):,} sizes, from {smallest} to {largest}"
    why = "ingest.image_size" if params.image_size else "chosen for the median aspect ratio; ingest.image_size sets it"
    return [f"{found}. They are read as {_size(shape[:2])} pixels ({why})" + _fitted(counts, shape, params.fit)]


def _fitted(counts: Mapping[tuple[int, int], int], shape: Shape, fit: str) -> str:
    height, width, _ = shape
    same = all(round(h * width / w) == height or round(w * height / h) == width for h, w in counts)
    return "" if same else f"; {FITTED[fit]}"


def _size(size: tuple[int, int]) -> str:
    """(H, W) as people write it."""
    return f"{size[1]} x {size[0]}"


def pages(paths: Sequence[str]) -> list[str]:
    """Which images have more than the one page that is read."""
    if not paths:
        return []
    return [f"{len(paths):,} {_have(paths)} several pages or frames, of which the first is read: {_first(paths)}"]


def _have(paths: Sequence[str]) -> str:
    return "image has" if len(paths) == 1 else "images have"


def ignored(listing: Listing) -> list[str]:
    """What nobody expects to be read, counted by its kind."""
    if not listing.ignored:
        return []
    kinds = Counter(listing.ignored.values())
    examples = {kind: next(path for path, of in sorted(listing.ignored.items()) if of == kind) for kind in kinds}
    counted = [f"{count:,} {kind} ({examples[kind]}{', ...' if count > 1 else ''})" for kind, count in kinds.items()]
    return [f"ignored: {', '.join(sorted(counted))}"]


def too_dim(brightest: Sequence[int]) -> list[str]:
    """A warning where most images of 16 bits use a part of their range, *brightest* being the brightest value of each.

    Scaled to 8 bits, they are nearly black, and may even become equal.
    """
    dim = [value for value in brightest if value < DIM]
    if 2 * len(dim) < len(brightest) or not any(dim):
        return []
    bits = max(8, 2 * math.ceil(max(dim).bit_length() / 2))
    return [
        f"{len(dim):,} of {len(brightest):,} images of 16 bits are nearly black: the brightest value is "
        f"{max(dim):,} of 65,535, as if they held {bits}-bit values. Multiply the values by {2 ** (16 - bits)}"
        + (", or save them in 8 bits" if bits == 8 else "")
    ]


def left_out(listing: Listing) -> list[str]:
    """A warning of what is no class or image, though it might have been meant to be."""
    texts = []
    if listing.left_out:
        reasons = [f"{path} ({reason})" for path, reason in sorted(listing.left_out.items())]
        texts.append(f"left out, as no class or image: {_first(reasons)}")
    if listing.others:
        names = _first(sorted(listing.others))
        texts.append(f"{len(listing.others):,} in the class folders are not {EXPECTED} and were left out: {names}")
    return texts


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
