"""What an exported file says of itself, for tests."""

from collections.abc import Sequence

from components.artifact_files import ModelDescription


def described(classes: Sequence[str], shape: Sequence[int] = (8, 8, 1), model: str = "bars") -> ModelDescription:
    """Version 12 of *model*, cropped and resized with a box."""
    return {
        "model": model,
        "version": "12",
        "classes": list(classes),
        "input": {
            "shape": list(shape),
            "channels": "grey" if shape[-1] == 1 else "RGB",
            "fit": "crop",
            "resize": "box",
        },
    }
