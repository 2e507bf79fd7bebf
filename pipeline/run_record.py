"""The record of each run: its settings, what each stage did, how it ended.

runs/20261122-040553-1a2b3c/
  run.json      RunRecord and its checksum, rewritten whole after each stage
  report.html   the report
  .alive        locked while the run's process lives: a record that says "running" without it was killed
"""

import json
import os
import secrets
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self, TypedDict

from components.errors import ConfigError
from components.findings import Finding
from components.progress import say
from components.public_text import public
from components.settings.fields import shown
from components.system import locks
from components.system.canonical import checked, with_checksum
from components.system.files import write_atomically
from components.system.source_code import is_installed
from pipeline.home import Home
from pipeline.store.disk_errors import storage_errors

LONGEST_NAME = 200  # bytes, of a run


@dataclass(frozen=True)
class Done:
    """The outcome of one stage: *made* is false where the result of an earlier run was reused."""

    stage: str
    key: str
    digest: str
    path: str
    made: bool
    seconds: float


class Model(TypedDict, total=False):
    """A registered version."""

    name: str
    version: str
    aliases: list[str]


class Promotion(TypedDict, total=False):
    """What became of the champion: promoted, unchanged, undecided, left to a user, waiting or held; and why.

    *champion_accuracy* is that of the champion until then, on the same test images.
    """

    outcome: str
    reason: str
    champion_accuracy: float


@dataclass
class RunRecord:
    """run.json."""

    run: str
    started: str
    source: str = ""
    state: str = "running"  # succeeded, refused, failed, interrupted, killed; unfinished between two stages
    finished: str = ""
    seconds: float = 0.0
    error: str = ""
    git_commit: str = ""
    report: str = ""
    mlflow_run: str = ""
    mlflow_experiment: str = ""  # the id of that of the run
    changes: str = ""  # of the files in the folder of images, since an earlier run ingested it
    accuracy: float | None = None
    model: Model = field(default_factory=Model)  # empty before it is registered
    promotion: Promotion = field(default_factory=Promotion)  # empty before promote ended
    stages: list[Done] = field(default_factory=list)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    chosen: dict[str, object] = field(default_factory=dict)  # the settings that are not defaults

    def done(self, stage: str) -> Done | None:
        """The outcome of *stage*; None where it has not run."""
        return next((done for done in self.stages if done.stage == stage), None)


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def check_name(run: str) -> None:
    """Raise ConfigError where no folder can be called *run*, or MLflow cannot store it; empty means a new name."""
    if "/" in run or run in (".", "..") or len(os.fsencode(run)) > LONGEST_NAME or not run.isprintable():
        raise ConfigError(
            f"--run is {shown(run)}; expected a name for a folder, of at most {LONGEST_NAME} bytes, without '/'"
        )


def new_run() -> str:
    """A new name that sorts by the time of its start: date, time, the fraction of the second, two random digits."""
    second, fraction = divmod(time.time_ns(), 10**9)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(second))
    return f"{stamp}-{fraction * 16**4 // 10**9:04x}{secrets.token_hex(1)}"


def git_commit() -> str:
    """The commit of the code that runs, "+changes" where the files differ from it.

    Outside a repository, as in the container's image, it is $PIPELINE_COMMIT or "": that of an installed package too,
    whose environment may lie in a repository of something else.
    """
    outside = os.environ.get("PIPELINE_COMMIT", "")
    if is_installed(Path(__file__)):
        return outside
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run([*command, "--dirty=+changes"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return outside
    return done.stdout.strip()


class RunRecorder:
    """Keeps one run's record on disk while the run lasts; no other process of the run lives meanwhile."""

    def __init__(self, home: Home, record: RunRecord) -> None:
        self.record = record
        self.folder = home.runs / record.run
        with storage_errors(home.root):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._alive = os.open(self.folder / ".alive", os.O_RDWR | os.O_CREAT)
            locks.acquire(self._alive, f"run {record.run}")

    def save(self) -> None:
        with storage_errors(self.folder):
            # indenting takes json's slow encoder, and asdict would copy every value first
            indent = None if self.record.state == "running" else 2
            text = json.dumps(public(vars(self.record)), default=lambda part: public(vars(part)))
            content = json.dumps(with_checksum(json.loads(text, parse_constant=str)), indent=indent)
            write_atomically(self.folder / "run.json", content + "\n")

    def __enter__(self) -> Self:
        self.save()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._alive)


def load(folder: Path) -> RunRecord | None:
    """The record in *folder*, None where none can be read; a dead run that says "running" is "killed"."""
    record = _read(folder)
    return _with_its_end(folder, record) if record else None


def _read(folder: Path) -> RunRecord | None:
    """The record in *folder* as it was written."""
    try:
        document = checked((folder / "run.json").read_bytes())
    except OSError:
        return None
    except ValueError as error:
        _set_aside(folder / "run.json", error)
        return None
    import msgspec  # takes longer to import than a run with nothing to do may: it loads no record

    try:
        return msgspec.convert(document, RunRecord)
    except msgspec.ValidationError:  # of another version
        return None


def _with_its_end(folder: Path, record: RunRecord) -> RunRecord:
    if record.state == "running" and not locks.is_locked(folder / ".alive"):
        record.state = "killed"
    return record


def _set_aside(file: Path, error: ValueError) -> None:
    """Rename a damaged record, so that it is reported once."""
    aside = file.with_name(file.name + ".damaged")
    say(f"  warning: the record of run {file.parent.name} is damaged ({error}) and left out; it is kept as {aside}")
    with suppress(OSError):
        file.replace(aside)


def records(home: Home) -> list[RunRecord]:
    """Every run, the newest first; what has not changed since the last time is not parsed again."""
    from pipeline.known_files import KnownFiles

    known, records = KnownFiles(home.cache / "records.msgpack", RunRecord), list[tuple[Path, RunRecord]]()
    for folder in home.runs.glob("*"):
        with suppress(OSError):  # no folder of a run, or one that `gc` has deleted meanwhile
            if record := known.get(folder.name, f"{folder}/run.json", partial(_read, folder)):
                records.append((folder, record))
    known.keep()
    return sorted(
        (_with_its_end(folder, record) for folder, record in records),
        key=lambda record: (record.started, record.run),
        reverse=True,
    )


def find(home: Home, run: str = "") -> RunRecord:
    """The run called *run* or whose name begins with it, or the last one; raises ConfigError where it is not one."""
    matches = [record for record in records(home) if record.run.startswith(run)]
    exact = [record for record in matches if record.run == run]
    if not matches:
        problem = f"no run is called '{run}'; python -m pipeline runs lists them"
        raise ConfigError(problem if run else "nothing has run yet: make pipeline")
    if run and not exact and len(matches) > 1:
        names = ", ".join(record.run for record in matches[:3]) + (", ..." if len(matches) > 3 else "")
        raise ConfigError(f"{len(matches)} runs begin with '{run}' ({names}); give more of the name")
    return (exact or matches)[0]
