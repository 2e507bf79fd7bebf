"""Which files of a folder of images have a problem, by the last run that read the folder as it is now."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from components.data import problems
from components.data.problems import Problem
from components.errors import ConfigError, DataRejected
from components.formatting import did_you_mean
from components.ingest import select
from components.ingest.reading.unusable_files import NoUsableFile, rows
from components.settings.sections import Params
from pipeline.home import Home
from pipeline.run_record import RunRecord, new_run, now, records
from pipeline.runner import Runner
from pipeline.store.artifact import Artifact

# what --only takes -> the problem in problems.csv
KINDS = {
    problems.UNREADABLE: problems.UNREADABLE,
    "duplicates": problems.DUPLICATE,
    "blank": problems.BLANK,
    "nearly-blank": problems.FAINT,
    "near-duplicates": problems.NEAR_DUPLICATE,
    "label-conflicts": problems.CONFLICT,
    "suspected-labels": problems.SUSPECT,
}
USUAL = (problems.UNREADABLE, "duplicates", "blank")  # nobody has to look at these


def kinds(text: str) -> tuple[str, ...]:
    """The kinds that --only lists; USUAL where it is empty. Raises ConfigError where one is unknown."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {**{name: name for name in KINDS}, **{problem: name for name, problem in KINDS.items()}}
    if unknown := [name for name in names if name not in known]:
        hint = did_you_mean(unknown[0], KINDS)
        raise ConfigError(
            f"--only names {unknown[0]!r}; {hint}{'; ' if hint else ''}expected any of {', '.join(KINDS)}"
        )
    return tuple(dict.fromkeys(known[name] for name in names)) or USUAL


def folder(params: Params) -> Path:
    """The folder of images that the settings name; raises ConfigError where the source is something else."""
    source = params.ingest.source
    if select.kind(source) != select.LAST:
        raise ConfigError(f"clean moves files of a folder of images, and --source is {source!r}; give it such a folder")
    return Path(source).resolve()


def found(params: Params, home: Home) -> dict[str, list[Problem]]:
    """kind -> the files with that problem: of the last run on these images, or of a validate that runs now."""
    home.prepare()
    rows = _rows(params, home)
    return {kind: [row for row in rows if row.problem == problem] for kind, problem in KINDS.items()}


def _rows(params: Params, home: Home) -> list[Problem]:
    if record := _last_run(params, home):
        return _of(record, home)
    lenient = replace(params, ingest=replace(params.ingest, max_unreadable_share=1.0))
    runner = Runner(lenient, home, RunRecord(new_run(), now()))
    try:
        for stage in ("ingest", "validate"):
            runner.run_stage(stage)
    except NoUsableFile as error:
        return rows(error.files)
    except DataRejected:  # what rejects the images may be what clean is for
        if not runner.record.done("validate"):
            raise
    return _of(runner.record, home)


def _last_run(params: Params, home: Home) -> RunRecord | None:
    """The last run that validated the images that are in the folder now."""
    root, fingerprint = folder(params), select.fingerprint(params.ingest, home.cache)
    for record in records(home):
        ingest = _artifact(record, "ingest", home)
        if (
            Path(record.source).resolve() == root
            and ingest is not None
            and ingest.recipe["inputs"].get("source") == fingerprint
            and _artifact(record, "validate", home)
        ):
            return record
    return None


def _of(record: RunRecord, home: Home) -> list[Problem]:
    artifacts = [_artifact(record, stage, home) for stage in ("ingest", "validate", "evaluate")]
    return [row for artifact in artifacts if artifact for row in problems.read(artifact.path) if row.image.file]


def _artifact(record: RunRecord, stage: str, home: Home) -> Artifact | None:
    done = record.done(stage)
    return home.store.get(stage, done.key) if done else None


def paths(found: Iterable[Problem]) -> list[str]:
    """The files of the rows *found*, each once."""
    return list(dict.fromkeys(row.image.file for row in found))
