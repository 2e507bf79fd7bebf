"""What changed in the images since an earlier run ingested them: files of a folder, corrections of labels."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from components.errors import ArtifactCorrupt
from components.formatting import thousands
from components.ingest.reading.source_files import read_hashes
from pipeline.corrections import INPUT
from pipeline.home import Home
from pipeline.run_record import RunRecord, records
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact

T = TypeVar("T")


class LabelledFile(NamedTuple):
    sha256: str
    label: str


Files = dict[str, LabelledFile]  # by path


def since_last_ingest(runner: Runner) -> str:
    """ "since run 20261126-...: 200 added, 3 removed, 1 relabelled"; "" where nothing changed or no run is known.

    Corrections count as what they did to the files, and are named: "..., 37 corrections of labels (12 before)".

    It is looked for only where this run has ingested: a run with nothing to do reads no other record.
    """
    done = runner.record.done("ingest")
    if done is None or not done.made:
        return ""
    present = runner.artifact("ingest")
    for record in records(runner.home):
        try:
            artifact = _earlier(record, runner.record, runner.home)
            if artifact is None or artifact.key == done.key or _has_files(artifact) != _has_files(present):
                continue
            counts = differences(*differing(_files(artifact), _files(present)))
        except (ArtifactCorrupt, OSError, ValueError, LookupError, TypeError):  # it is damaged: an older one may do
            continue
        changed = [f"{thousands(count)} {what}" for what, count in counts.items() if count]
        changed += _corrections(artifact, present)
        sentence = ", ".join(changed) or ("no file changed" if _has_files(present) else "")
        return f"since run {record.run}: {sentence}" if sentence else ""
    return ""


def _corrections(then: Artifact, now: Artifact) -> list[str]:
    """How many corrections of labels there are and were; [] where they are the same."""
    if then.recipe["inputs"].get(INPUT) == now.recipe["inputs"].get(INPUT):
        return []
    before, applied = (artifact.facts.get("corrections", {}).get("applied", 0) for artifact in (then, now))
    return [f"{thousands(applied)} correction{'' if applied == 1 else 's'} of labels ({thousands(before)} before)"]


def _earlier(record: RunRecord, present: RunRecord, home: Home) -> Artifact | None:
    """The artifact of ingest of an earlier run on the same folder."""
    ingest = record.done("ingest")
    if record.run == present.run or record.source != present.source or ingest is None:
        return None
    return home.store.get("ingest", ingest.key)


def _has_files(artifact: Artifact) -> bool:
    return "sha256.json" in artifact.files


def _files(artifact: Artifact) -> Iterator[tuple[str, LabelledFile]]:
    """The files of the images in an artifact of ingest, in the order of their paths; none where they are no files."""
    if not _has_files(artifact):
        return
    import numpy as np

    splits: dict[str, list[str]] = json.loads((artifact.path / "files.json").read_bytes())
    classes: list[str] = json.loads((artifact.path / "source.json").read_bytes())["classes"]
    paths = [path for of_split in splits.values() for path in of_split]
    labels = np.concatenate([np.load(artifact.path / split / "labels.npy") for split in splits])
    order = sorted(range(len(paths)), key=paths.__getitem__)
    for index, (_, sha256) in zip(order, read_hashes(artifact.path / "sha256.json"), strict=True):
        yield paths[index], LabelledFile(sha256, classes[labels[index]])


def differing(then: Iterable[tuple[str, LabelledFile]], now: Iterable[tuple[str, LabelledFile]]) -> tuple[Files, Files]:
    """Those of the files *then* and *now*, both in order, that are not in both as they are."""
    before, after, rows = Files(), Files(), iter(now)
    row = next(rows, None)
    for path, file in then:
        while row and row[0] < path:
            after[row[0]] = row[1]
            row = next(rows, None)
        if row is None or row[0] != path:
            before[path] = file
            continue
        if row[1] != file:
            before[path], after[path] = file, row[1]
        row = next(rows, None)
    after |= [row] if row else []
    return before, after | dict(rows)


def differences(then: Files, now: Files) -> dict[str, int]:
    """How many files were added, removed, relabelled (the same content under another label), renamed and replaced."""
    gone, new = ({path: a[path] for path in a.keys() - b.keys()} for a, b in ((then, now), (now, then)))
    relabelled = sum(then[path].label != now[path].label for path in then.keys() & now.keys())
    replaced = sum(then[path].sha256 != now[path].sha256 for path in then.keys() & now.keys())
    renamed = _in_both(Counter(gone.values()), Counter(new.values()))
    moved = _in_both(Counter(f.sha256 for f in gone.values()), Counter(f.sha256 for f in new.values()))
    return {
        "added": len(new) - moved,
        "removed": len(gone) - moved,
        "relabelled": relabelled + moved - renamed,
        "renamed": renamed,
        "replaced": replaced,
    }


def _in_both(one: Counter[T], other: Counter[T]) -> int:
    return (one & other).total()
