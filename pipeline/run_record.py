"""The record of each run: what it was asked, what each stage did, how it ended.

runs/20261122-040553-1a2b3c/
  run.json      Record, rewritten whole after each stage
  report.html   for people
  .alive        locked while the run's process lives: a record that says "running" without it was killed
"""

import fcntl
import json
import os
import secrets
import subprocess
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from components.errors import ConfigError
from pipeline.home import Home, is_locked
from pipeline.store.local import storage_errors


@dataclass
class Record:
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
    accuracy: float | None = None
    model: dict[str, Any] = field(default_factory=dict)  # name, version, aliases
    stages: list[dict[str, Any]] = field(default_factory=list)  # stage, key, digest, path, made, seconds
    findings: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)  # the settings that are not defaults


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def new_run() -> str:
    """A name whose order is that in which runs began, those of one second too: date, time, its fraction, two dice."""
    second, fraction = divmod(time.time_ns(), 10**9)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(second))
    return f"{stamp}-{fraction * 16**4 // 10**9:04x}{secrets.token_hex(1)}"


def git_commit() -> str:
    """The commit of the code that runs, "+changes" where the files differ from it.

    Outside a repository it is what $PIPELINE_COMMIT says, as in the container's image, or "".
    """
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    commit = git("rev-parse", "HEAD")
    if not commit:
        return os.environ.get("PIPELINE_COMMIT", "")
    return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")


class Journal:
    """Keeps one run's record on disk while the run goes on."""

    def __init__(self, home: Home, record: Record) -> None:
        self.record = record
        self.folder = home.runs / record.run
        with storage_errors(home.root):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._alive = os.open(self.folder / ".alive", os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._alive, fcntl.LOCK_EX)
        self.save()

    def save(self) -> None:
        part = self.folder / f".run.json.{os.getpid()}"
        with storage_errors(self.folder):
            part.write_text(json.dumps(asdict(self.record), indent=2) + "\n")
            part.replace(self.folder / "run.json")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._alive)


def load(folder: Path) -> Record | None:
    """The record in *folder*, None where there is none that can be read; a dead run that says "running" is "killed"."""
    try:
        document = json.loads((folder / "run.json").read_text())
        record = Record(**{f.name: document[f.name] for f in fields(Record) if f.name in document})
    except (OSError, ValueError, TypeError):
        return None
    if record.state == "running" and not _alive(folder):
        record.state = "killed"
    return record


def _alive(folder: Path) -> bool:
    return is_locked(folder / ".alive")


def records(home: Home) -> list[Record]:
    """Every run, the newest first."""
    found = [record for folder in home.runs.glob("*") if (record := load(folder))]
    return sorted(found, key=lambda record: (record.started, record.run), reverse=True)


def find(home: Home, run: str = "") -> Record:
    """The run called *run* (its first letters are enough), or the last one; raises ConfigError where there is none."""
    for record in records(home):
        if record.run.startswith(run):
            return record
    what = (
        f"no run is called '{run}'; python -m pipeline runs lists them" if run else "nothing has run yet: make pipeline"
    )
    raise ConfigError(what)
