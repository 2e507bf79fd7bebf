"""The size that pictures are read into, and how they come to it."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from components.settings.sections import Ingest

Shape = tuple[int, int, int]  # (H, W, C), C 1 or 3


class Resizing(NamedTuple):
    """How images come to another size: ingest.fit and ingest.resize."""

    fit: str = "pad"
    resize: str = "lanczos"

    @classmethod
    def of(cls, params: "Ingest") -> "Resizing":
        return cls(params.fit, params.resize)
