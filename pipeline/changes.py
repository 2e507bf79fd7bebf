"""What changed in the images since an earlier run ingested them: files of a folder, corrections of labels."""

from components.errors import ArtifactCorrupt
from components.formatting import thousands
from pipeline.corrections import INPUT
from pipeline.home import Home
from pipeline.run_record import RunRecord, records
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact

DAMAGED = (ArtifactCorrupt, OSError, ValueError, LookupError, TypeError, EOFError)  # what reading such files raises


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
            counts = _counts(artifact, present)
        except DAMAGED:  # an older one may do
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


def _counts(then: Artifact, now: Artifact) -> dict[str, int]:
    """How many files differ and how; {} where the images are no files."""
    if not _has_files(now):
        return {}
    from pipeline.changed_files import differences, files_of  # NumPy, which a run with nothing to do does not load

    return differences(files_of(then), files_of(now))


def _has_files(artifact: Artifact) -> bool:
    return "sha256.json" in artifact.files
