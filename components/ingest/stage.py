"""Ingest: bring the images of a source into two splits on disk, whatever the source is."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from components.data.splits import SplitWriter
from components.errors import DataRejected, SourceUnreachable
from components.ingest.sources import select
from components.ingest.sources.base import Contents, Shape, two_classes, wanted
from components.ingest.sources.decoding import fit
from components.progress import progress, say
from components.settings.sections import Ingest

SPLITS = ("train", "test")


def ingest(out: Path, params: Ingest, fingerprint: str) -> dict[str, Any]:
    """Write both splits of the source that *params* names, and where they come from, to *out*.

        out/
          train/       images-*.npy  uint8 (n, H, W, C), pixels 0..255     labels.npy  int64 (N,)
          test/        ...
          source.json  source, name, classes, shape, images per split, fingerprint, sha256 of what was read
          files.json   {"train": [path of each image below the folder, in order], "test": ...}, for a folder of images

    *fingerprint* is what `sources.fingerprint` promised. Raises SourceUnreachable where something else was read, and
    DataRejected where the images are no training data: one class only, an empty split, a label of no class.
    """
    started = time.perf_counter()
    contents = select.read(params)
    two_classes(contents.classes, params.source)
    shape = wanted(contents.shape, params)
    counts = _write(contents, out, shape)
    for split in SPLITS:
        if not counts[split]:
            raise DataRejected(f"{params.source} gives no {split} images; expected some in each split")
    if contents.fingerprint() != fingerprint:
        raise SourceUnreachable(f"{params.source} changed while it was being read; run it again")
    kind = select.kind(params.source)
    _dump(out / "source.json", {
        "source": params.source if kind == "tfds" else kind,
        "name": select.name(params),
        "classes": contents.classes,
        "shape": list(shape),
        "images": counts,
        "fingerprint": fingerprint,
        "sha256": contents.sha256,
    })  # fmt: skip
    for warning in contents.facts.get("warnings", []):
        say(f"  warning: {warning}")
    if contents.files:
        _dump(out / "files.json", contents.files)
    return {**contents.facts, "images": counts, "seconds": round(time.perf_counter() - started, 3)}


def _write(contents: Contents, out: Path, shape: Shape) -> dict[str, int]:
    """Write every block to its split as images of *shape*; returns how many images each split has."""
    counts = dict.fromkeys(SPLITS, 0)
    with ExitStack() as stack:
        advance = stack.enter_context(progress("ingest", contents.images))
        writers = {split: stack.enter_context(SplitWriter(out / split, shape)) for split in SPLITS}
        for split, images, labels in contents.blocks:
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(contents.classes):
                raise DataRejected(
                    f"the {split} split has labels {labels.min()} to {labels.max()};"
                    f" expected 0 to {len(contents.classes) - 1}, one for each class"
                )
            writers[split].add(fit(images, shape), labels)
            counts[split] += len(labels)
            advance(sum(counts.values()))
    return counts


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
