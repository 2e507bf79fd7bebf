"""Stratify a drawn test split: every class gives its share, within bounds (components.data.held_out)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.data.held_out import held_out
from components.data.splits import Split, SplitWriter
from components.ingest.reading.content_split import SplitByContent

SPLITS = ("train", "test")
LEFT = 2  # distinct images of a class: one to train on, one to validate with


def stratify(out: Path, drawn: SplitByContent, names: dict[str, list[str]]) -> bool:
    """Move images between *out*/train and *out*/test where a class gave too few test images, or too many.

    *names* are the path or identity of each image of a split, in order, or empty; they move along. Images that move
    come first in their new split, or last, in the order of the two splits. False where nothing had to move.
    """
    splits = {name: Split(out / name) for name in SPLITS}
    labels = np.concatenate([splits[name].labels for name in SPLITS])
    places = np.concatenate([np.frombuffer(drawn.places[name], np.float64) for name in SPLITS])
    in_test = np.empty(len(labels), np.bool_)
    for number in np.unique(labels):
        of_class = labels == number
        in_test[of_class] = held_out(places[of_class], drawn.share, LEFT)
    if np.array_equal(in_test, places < drawn.share):
        return False
    _rewrite(out, splits, in_test)
    paths = [path for name in SPLITS for path in names.get(name, [])]
    for name in SPLITS if paths else ():
        names[name] = [path for path, there in zip(paths, in_test, strict=True) if there == (name == "test")]
    return True


def _rewrite(out: Path, splits: dict[str, Split], in_test: NDArray[np.bool_]) -> None:
    """Write both splits again, an image going to the test split where *in_test* says so."""
    shape, start = splits["train"].shape, 0
    with SplitWriter(out / ".train", shape) as train, SplitWriter(out / ".test", shape) as test:
        for split in splits.values():
            for images, labels in split.blocks(label="ingest: test images of small classes"):
                here = in_test[start : start + len(images)]
                train.add(images[~here], labels[~here])
                test.add(images[here], labels[here])
                start += len(images)
    for name in SPLITS:
        for file in (out / name).iterdir():
            file.unlink()
        (out / name).rmdir()
        (out / f".{name}").rename(out / name)
