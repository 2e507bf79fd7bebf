"""The identity of an image that is no file: the sha256 of its size and its pixels, as the source has them.

An image that is a file has the sha256 of the file. Identities stay the same where ingest resizes images.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.data.splits import Images

FILE = "image_sha256.json"  # in the artifact of ingest, where its pixels are no longer those of the source


def pixel_ids(images: "Images") -> list[str]:
    """The identity of each of *images*, uint8 (n, H, W, C): the sha256 of "H,W,C", a newline and the pixels."""
    size = f"{','.join(map(str, images.shape[1:]))}\n".encode()
    return [hashlib.sha256(size + image.tobytes()).hexdigest() for image in images]
