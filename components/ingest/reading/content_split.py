"""The test split of a source that has none: drawn by the content of the images."""

from components.artifact_files import DrawnSplit


class SplitByContent:
    """Draws a test split by the hash of each image's content: equal images share a split, and new ones move none."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._lowest: dict[str, float] = {}
        self._highest: dict[str, tuple[float, float]] = {}  # the two highest positions

    def split(self, sha256: str, name: str) -> str:
        """The split, "train" or "test", of the image of class *name* whose content has *sha256*."""
        place = int(sha256[:13], 16) / 16**13
        second, first = self._highest.get(name, (0.0, 0.0))
        self._lowest[name] = min(place, self._lowest.get(name, 1.0))
        if place not in (first, second):
            self._highest[name] = tuple(sorted((second, first, place))[1:])  # type: ignore[assignment]
        return "test" if place < self.share else "train"

    def drawn(self) -> DrawnSplit:
        """The share, and the nearest one with which each class has a test image and two training images."""
        above, most = max(self._lowest.values(), default=1.0), min((s for s, _ in self._highest.values()), default=0.0)
        fitting = [share for share in (percent / 100 for percent in range(1, 91)) if above < share <= most]
        return {"share": self.share, "fits": min(fitting, key=lambda share: abs(share - self.share), default=None)}
