"""Ingest: write the images of a source to splits on disk."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NotRequired, TypedDict

from components.artifact_files import CorrectionCounts, DrawnSplit, SourceFile, Unreadable
from components.data import image_ids, problems
from components.data.corrections import Corrections
from components.data.pictures.decoding import resized
from components.data.pictures.resizing import Resizing, Shape
from components.data.splits import Split, SplitWriter
from components.errors import DataRejected, SourceChanged
from components.ingest import select
from components.ingest.corrected import Corrector, described, warnings
from components.ingest.reading.image_source import ImageSource, require_two_classes, target_shape
from components.ingest.reading.source_files import write_files, write_hashes
from components.ingest.reading.unusable_files import rows, summary
from components.ingest.stratify import stratify
from components.progress import progress
from components.settings.sections import Ingest

SPLITS = ("train", "test")  # that each source has
NO_CORRECTIONS = Corrections(Path())


class Facts(TypedDict("Facts", {"from": str})):
    """What the manifest says about the artifact besides its files."""

    version: NotRequired[str]
    notes: NotRequired[list[str]]
    warnings: NotRequired[list[str]]
    unreadable: NotRequired[Unreadable]
    test_split: NotRequired[DrawnSplit]
    corrections: NotRequired[CorrectionCounts]
    of_16_bits: NotRequired[int]
    images: dict[str, int]
    seconds: float


def ingest(
    out: Path,
    params: Ingest,
    fingerprint: str,
    cache: Path,
    accept: Callable[[list[str]], None] = lambda _classes: None,
    corrections: Corrections = NO_CORRECTIONS,
    earlier: Callable[[], Path | None] = lambda: None,
) -> Facts:
    """Write the splits of the source that *params* names, and their provenance, to *out*.

        out/
          train/       images-*.npy  uint8 (n, H, W, C), pixels 0..255     labels.npy  int64 (N,)
          test/        ...
          validation/  ...  where the source has such a split of its own
          source.json  source, name, classes, shape, images per split, fingerprint, sha256 of the source's files
          files.json   {"train": [path of each image below the folder, in order], "test": ...}, for a folder of images
          sha256.json  the hash of each of these files, by its path
          problems.csv the files that cannot be read and were left out, where there are any
          corrections.json   what became of the corrections, where there are any (artifact_files.CorrectionCounts)
          image_sha256.json  {"train": [identity of each image in order], "test": ...}, where images that are no files
                             were resized (components.data.image_ids)

    *fingerprint* is what `select.fingerprint` returned for the same *cache*; *accept* may reject the classes before any
    image is decoded. *corrections* change labels and drop images before a test split is drawn. *earlier* may return an
    artifact of the same source, made by the same code and settings and verified: the pixels of files with the same
    sha256 come from there, which takes less time and changes no byte. Raises SourceChanged where the source holds
    something else by now, and DataRejected where the images cannot be trained on: one class only, an empty split, a
    label outside the classes, a correction to no class.
    """
    started = time.perf_counter()
    _require_same(fingerprint, select.fingerprint(params, cache), params)  # images arrive while others are hashed
    source = select.read(params, cache)
    require_two_classes(source.classes, params.source)
    accept(source.classes)
    corrections.require_classes(source.classes)
    if source.reuse and (artifact := earlier()):
        source.reuse(artifact)
    shape = target_shape(source.shape, params)
    corrector = Corrector(source, corrections, keep_ids=shape != source.shape)
    counts = _write(source, corrector, out, shape, Resizing.of(params))
    if source.drawn and stratify(out, source.drawn, source.files or corrector.ids):
        counts |= {split: len(Split(out / split)) for split in SPLITS}
    _require_images(counts, source, params)
    _require_same(fingerprint, source.fingerprint(), params)
    _dump(out / "source.json", _provenance(source, params, fingerprint, shape, counts))
    _describe_images(source, corrector, out)
    return _facts(source, corrector, counts, started)


def _provenance(
    source: ImageSource, params: Ingest, fingerprint: str, shape: Shape, counts: dict[str, int]
) -> SourceFile:
    return {
        "source": select.label(params.source),
        "name": select.name(params),
        "classes": source.classes,
        "shape": list(shape),
        "images": counts,
        "fingerprint": fingerprint,
        "sha256": source.sha256,
    }


def _require_images(counts: dict[str, int], source: ImageSource, params: Ingest) -> None:
    for split in SPLITS:
        if not counts[split]:
            hint = f": add images, or change ingest.test_share, {params.test_share}" if source.drawn else ""
            raise DataRejected(f"{params.source} has no {split} images; expected some in each split{hint}")


def _describe_images(source: ImageSource, corrector: Corrector, out: Path) -> None:
    """Write what is known of each image, and what became of the corrections of labels."""
    if source.files:
        write_files(out / "files.json", source.files)
        write_hashes(out / "sha256.json", source.files, source.hashes)
    if source.unusable:
        problems.write(rows(source.unusable), out)
    if corrector.ids:
        _dump(out / image_ids.FILE, corrector.ids)
    if corrector.corrections.effective:
        _dump(out / "corrections.json", corrector.counts())


def _require_same(fingerprint: str, found: str, params: Ingest) -> None:
    if found != fingerprint:
        raise SourceChanged(f"{params.source} changed while it was being read; run it again")


def _facts(source: ImageSource, corrector: Corrector, counts: dict[str, int], started: float) -> Facts:
    facts: Facts = {"from": source.origin, "images": counts, "seconds": round(time.perf_counter() - started, 3)}
    if source.version:
        facts["version"] = source.version
    if corrector.corrections.effective:
        facts["corrections"] = corrector.counts()
    if notes := [*source.notes, *described(corrector)]:
        facts["notes"] = notes
    if found := [*source.warnings, *warnings(corrector)]:
        facts["warnings"] = found
    if source.unusable:
        facts["unreadable"] = summary(source.unusable, len(source.unusable) + sum(counts.values()))
    if source.brightest:
        facts["of_16_bits"] = len(source.brightest)
    if source.drawn:
        facts["test_split"] = source.drawn.drawn()
    return facts


def _write(source: ImageSource, corrector: Corrector, out: Path, shape: Shape, resizing: Resizing) -> dict[str, int]:
    """Write every block, corrected, to its split as images of *shape*; returns the number of images by split."""
    counts = dict.fromkeys((*SPLITS, *(split for split in source.files if split not in SPLITS)), 0)
    with ExitStack() as stack:
        advance = stack.enter_context(progress("ingest", source.images))
        writers = {split: stack.enter_context(SplitWriter(out / split, shape)) for split in counts}
        for split, images, labels in corrector.blocks():
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(source.classes):
                raise DataRejected(
                    f"the {split} split has labels {labels.min()} to {labels.max()};"
                    f" expected 0 to {len(source.classes) - 1}, one for each class"
                )
            writers[split].add(resized(images, shape, resizing), labels)
            counts[split] += len(labels)
            advance(sum(counts.values()))
    return counts


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
