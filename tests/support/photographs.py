"""Stand-ins for photographs, drawn from a seed: smooth, coloured, and each of its own."""

from io import BytesIO

import numpy as np
from PIL import Image

from components.data.splits import Images


def photographs(count: int, size: int = 64, channels: int = 3, seed: int = 0) -> Images:
    """Enlarged noise of few pixels: uint8 (count, size, size, channels)."""
    rng = np.random.default_rng(seed)
    shape = (size, size)
    return np.stack([_photograph(rng, shape, channels) for _ in range(count)])


def _photograph(rng: np.random.Generator, shape: tuple[int, int], channels: int) -> Images:
    small = rng.integers(0, 256, (7, 7, channels), dtype=np.uint8)
    planes = [Image.fromarray(small[..., c]).resize(shape, Image.Resampling.BICUBIC) for c in range(channels)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def saved_again(image: Images, quality: int = 60) -> Images:
    """*image* (H, W, 3) after it was saved as JPEG."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(image: Images) -> Images:
    """*image* (H, W, 3), made smaller and larger again."""
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((width * 2 // 3, height * 2 // 3)).resize((width, height)))
