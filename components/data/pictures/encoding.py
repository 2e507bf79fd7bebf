"""Images as PNG files."""

import io

from PIL import Image

from components.data.splits import Images


def png(image: Images) -> bytes:
    """uint8 (H, W, C), C 1 or 3, as the content of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()
