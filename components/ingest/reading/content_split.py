"""The test split of a source that has none: drawn by the content of the images."""

from array import array

from components.artifact_files import DrawnSplit


class SplitByContent:
    """Draws a test split by the hash of each image's content: equal images share a split, and new ones move none.

    An image is drawn as it is read; `components.ingest.stratify` then moves what a small class needs.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.places = {"train": array("d"), "test": array("d")}  # of the images of each split, in order

    def split(self, sha256: str) -> str:
        """The split, "train" or "test", of the next image, whose content has *sha256*."""
        place = int(sha256[:13], 16) / 16**13
        split = "test" if place < self.share else "train"
        self.places[split].append(place)
        return split

    def drawn(self) -> DrawnSplit:
        return {"share": self.share}
