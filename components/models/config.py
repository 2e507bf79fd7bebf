"""What a network is built for and how large: the one argument of every network."""

from dataclasses import dataclass

from components.errors import ConfigError


@dataclass(frozen=True)
class Knobs:
    """*shape* is (H, W, C) of the images; the rest are the settings of their names, at values that change nothing."""

    shape: tuple[int, int, int]
    classes: int
    dropout: float = 0.0
    width: float = 1.0
    depth: int = 0
    l2: float = 0.0

    def channels(self, usual: int) -> int:
        """*usual* channels of a layer, times the width."""
        return max(1, round(usual * self.width))

    def blocks(self, usual: int) -> int:
        """How many blocks: the depth, or *usual* where none is set."""
        return self.depth or usual

    def expect(self, side: int) -> None:
        """Raise ConfigError where the images are narrower or lower than *side* pixels."""
        height, width, _ = self.shape
        if min(height, width) < side:
            deep = f" with train.depth={self.depth}" if self.depth else ""
            raise ConfigError(
                f"the images are {height} x {width} pixels; this train.model{deep} takes {side} x {side} or larger. "
                f"Set ingest.image_size={side}" + (" or lower train.depth" if self.depth else "")
            )
