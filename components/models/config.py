"""The configuration of a network: the one argument of every architecture."""

from dataclasses import dataclass

from components.errors import ConfigError
from components.settings.sections import OF_TRAINING


@dataclass(frozen=True)
class ModelConfig:
    """*shape* is (H, W, C) of the images; the others are the settings of the same names, by default without effect."""

    shape: tuple[int, int, int]
    classes: int
    dropout: float = 0.0
    width: float = 1.0
    depth: int = 0
    l2: float = 0.0
    standardize: str = OF_TRAINING
    scale: tuple[float, ...] = (1.0,)  # by which the pixels of each channel were multiplied before the first block,
    offset: tuple[float, ...] = (0.0,)  # and what was added then

    def channels(self, default: int) -> int:
        """The channels of a layer that has *default* ones at width 1."""
        return max(1, round(default * self.width))

    def blocks(self, default: int) -> int:
        """The number of blocks: the depth, or *default* where none is set."""
        return self.depth or default

    def require_side(self, side: int) -> None:
        """Raise ConfigError where the images have fewer than *side* rows or columns."""
        height, width, _ = self.shape
        if min(height, width) < side:
            deep = f" with train.depth={self.depth}" if self.depth else ""
            raise ConfigError(
                f"the images are {height} x {width} pixels; this train.model{deep} takes {side} x {side} or larger. "
                f"Set ingest.image_size={side}" + (" or lower train.depth" if self.depth else "")
            )
