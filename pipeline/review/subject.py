"""Which run is reviewed: the newest one with an evaluation, of any model or of one, with its artifacts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.artifact_files import Metrics, NormalizedData
from components.data.corrections import Corrections, Labels
from components.errors import ArtifactMissing, ConfigError, SourceError
from components.formatting import did_you_mean
from components.ingest import select
from components.progress import say
from components.settings.sections import Ingest
from pipeline import corrections, measured, run_record
from pipeline.commands import pipeline_command, run_command
from pipeline.home import Home
from pipeline.run_record import RunRecord

NEEDED = ("ingest", "normalize", "evaluate")
HELPFUL = ("validate", "export")  # conflicting duplicates; probabilities of images outside the test split


@dataclass(frozen=True)
class Subject:
    """A run, the folders of its artifacts by stage, and the file that its next run takes corrections from.

    *applied* are the corrections that the run itself has made: image -> label in the source -> its label in this run.
    """

    record: RunRecord
    folders: dict[str, Path]
    corrections: Path
    applied: Mapping[str, Labels]
    classes: list[str]
    metrics: Metrics

    @property
    def model(self) -> str:
        return str(self.record.settings.get("register.name", ""))

    @property
    def retrain(self) -> str:
        """The command that trains on the corrected labels: as short as it is the same."""
        return make_command(self.record) or run_command(self.record)


def make_command(record: RunRecord) -> str:
    """`make pipeline` for the settings of *record*; "" where it was given some that this does not repeat."""
    if set(record.chosen) - {"ingest.source"}:
        return ""
    plain = re.fullmatch(r"[\w/.:+@-]+", record.source, re.ASCII)
    return f"make pipeline SOURCE={record.source}" if plain else ""


def find(home: Home, model: str = "", source: str = "") -> Subject:
    """The newest run with an evaluation; of the registered *model*, and from *source*, where these are named.

    Raises ConfigError where there is none, ArtifactMissing where its artifacts are gone, and ArtifactCorrupt.
    """
    records = run_record.records(home)
    if not records:
        raise ConfigError("nothing has run yet, so there is nothing to review: make pipeline")
    wanted = [record for record in records if _is_wanted(record, model, source)]
    if not wanted:
        raise ConfigError(_unknown(records, model, source))
    evaluated = next((record for record in wanted if record.done("evaluate")), None)
    if evaluated is None:
        raise ConfigError(
            f"run {wanted[0].run} ended before evaluate, so there is nothing to review yet; run it to its end: "
            f"{run_command(wanted[0])}"
        )
    return _subject(home, evaluated)


def _is_wanted(record: RunRecord, model: str, source: str) -> bool:
    if model and record.settings.get("register.name") != model:
        return False
    return not source or _place(record.source) == _place(source)


def _place(source: str) -> str:
    return source if select.is_name(source) else str(Path(source).resolve())


def _unknown(records: Sequence[RunRecord], model: str, source: str) -> str:
    if source:
        first = pipeline_command("run", "--source", source)
        return f"no run{f' of {model}' if model else ''} has read {source} yet; the first: {first}"
    names = sorted({str(name) for record in records if (name := record.settings.get("register.name"))})
    hint = did_you_mean(model, names) or f"expected one of {', '.join(names)}"
    return f"no run has trained {model!r}; {hint}"


def _subject(home: Home, record: RunRecord) -> Subject:
    keys = {done.stage: done.key for done in record.stages if done.stage in (*NEEDED, *HELPFUL)}
    artifacts = measured.of_keys(home.store, keys).artifacts
    if gone := [stage for stage in NEEDED if stage not in artifacts]:
        raise ArtifactMissing(
            f"what {' and '.join(gone)} of run {record.run} made is gone or damaged; make it again, then review it: "
            f"{run_command(record)}"
        )
    for stage in NEEDED:
        home.store.check(artifacts[stage], home.cache)
    folders = {stage: artifact.path for stage, artifact in artifacts.items()}
    data: NormalizedData = json.loads((folders["normalize"] / "data.json").read_bytes())
    metrics: Metrics = json.loads((folders["evaluate"] / "metrics.json").read_bytes())
    file = _corrections(home, record, data["name"])
    digest = artifacts["ingest"].recipe["inputs"].get(corrections.INPUT, "")
    known = Corrections.as_of(file, digest) if digest else None  # None too where the file is another one by now
    return Subject(record, folders, file, known.effective if known else {}, data["classes"], metrics)


def _corrections(home: Home, record: RunRecord, name: str) -> Path:
    """Where decisions are written; *name* is that of the data, where their source is gone."""
    setting = str(record.settings.get("ingest.corrections", corrections.AUTO))
    if not setting:
        say(
            "  warning: ingest.corrections is empty in the settings of the run: the next one corrects nothing until it "
            "is auto"
        )
    try:
        file = corrections.file_of(Ingest(source=record.source, corrections=setting or corrections.AUTO), home)
    except SourceError:
        file = None
    return file or home.corrections / f"{name}.jsonl"
