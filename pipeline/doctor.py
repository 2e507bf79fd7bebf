"""Whether this machine can run the pipeline: one line for each thing that runs depend on, and what to do.

Each check costs milliseconds, but for a registry or a bucket that does not answer. TensorFlow, Airflow and MLflow are
not imported.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Literal

from components.errors import Failure
from components.formatting import size
from components.progress import say
from components.public_text import public
from components.registry import database, readers
from components.system import memory
from components.system.distributions import version
from components.system.gpu import line as gpu_line
from components.system.processor import cores
from components.system.source_code import is_installed
from pipeline import config
from pipeline.home import Home

Mark = Literal["ok", "warning", "error"]

PYTHONS = ((3, 11), (3, 14))  # the first that is supported, and the first that is not
PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "mlflow", "apache-airflow-core")
LOCK = Path(__file__).parents[1] / "requirements.lock"
PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
FREE_ENOUGH, FREE_AT_ALL = 10 * 2**30, 2**30  # bytes on the disk
MEMORY_ENOUGH = 2 * 2**30
SECONDS_OF_REGISTRY, SECONDS_OF_CLOCK = 5.0, 30.0
TRY_LOCK = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(3)
"""
LOCKED = 3  # exit status of TRY_LOCK


@dataclass(frozen=True)
class Line:
    """What was found, and what to do where it is not right."""

    check: str
    mark: Mark
    text: str
    advice: str = ""

    @property
    def sentence(self) -> str:
        return self.text + (f"; {self.advice}" if self.advice else "")


Check = Callable[[Home], Iterator[Line]]


def examine(home: Home, *, registry: bool = True, store: bool = True) -> list[Line]:
    """Every line; those of the registry and of a shared store, which may take seconds, only where asked for."""
    lines = [line for check in (_python, _packages, _settings, _machine) for line in check(home)]
    lines += _lines("workspace", _workspace, home)
    if lines[-1].mark == "ok":
        lines += [line for name, check in OF_WORKSPACE.items() for line in _lines(name, check, home)]
    lines += _lines("store", _store, home) if store else []
    return lines + (_lines("registry", _registry, home) if registry else [])


def warn(home: Home, *, registry: bool = True) -> None:
    """Print what is not right, before something long begins, which reports wrong settings and a wrong store itself."""
    for line in examine(home, registry=registry, store=False):
        if line.mark != "ok" and line.check != "settings":
            say(f"warning: {line.check}: {line.sentence}")


def _lines(name: str, check: Check, home: Home) -> list[Line]:
    """Those of *check*, or the line of what kept it from looking."""
    try:
        return list(check(home))
    except Failure as failure:
        return [Line(name, "error", str(failure))]
    except OSError as error:
        return [Line(name, "error", f"{error.filename or home.root}: {error.strerror or error}")]


def _python(home: Home) -> Iterator[Line]:
    here, (first, last) = sys.version_info[:2], PYTHONS
    text = f"{here[0]}.{here[1]}.{sys.version_info[2]}, {sys.executable}"
    right = first <= here < last
    yield Line("python", "ok" if right else "error", text, "" if right else "use Python 3.11 to 3.13")


def _packages(home: Home) -> Iterator[Line]:
    """The versions that matter most, and all that differ from the lock of the checkout."""
    installed = {name: _version(name) for name in PACKAGES}
    versions = ", ".join(f"{name} {text}" for name, text in installed.items() if text)
    others = [(name, here, pinned) for name, pinned in _pins().items() if (here := _version(name)) not in {"", *pinned}]
    if not installed["tensorflow-cpu"] and not installed["tensorflow"]:
        yield Line("packages", "error", f"no TensorFlow beside {versions or 'Python'}", "make setup installs it")
    elif others:
        differing = ", ".join(f"{name} {here} (lock: {' or '.join(pinned)})" for name, here, pinned in others[:5])
        advice = "make setup installs those of the lock; other versions give other keys"
        yield Line("packages", "warning", f"{len(others)} differ from requirements.lock: {differing}", advice)
    else:
        yield Line("packages", "ok", versions)


def _pins() -> dict[str, list[str]]:
    """The versions in the lock of the checkout, by package: another one for some Pythons and platforms."""
    pins: dict[str, list[str]] = {}
    if LOCK.is_file() and not is_installed(LOCK):
        for name, pinned in PINNED.findall(LOCK.read_text()):
            pins.setdefault(name, []).append(pinned)
    return pins


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _settings(home: Home) -> Iterator[Line]:
    file = config.settings_file()
    if config.located(file).is_dir():
        file = ""  # a settings file for each model: Airflow reports each by itself
    values, problems = config.written(file)
    if problems:
        yield from (Line("settings", "error", problem) for problem in problems)
    else:
        yield Line("settings", "ok", f"{file or 'no file'}, {len(values)} set")


def _workspace(home: Home) -> Iterator[Line]:
    """It can be written to, and a file be renamed within it."""
    home.prepare()
    for folder in (home.root, home.root / "artifacts", home.runs, home.cache, home.root / "locks"):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            renamed = Path(file.name).rename(f"{file.name}-renamed")
            renamed.rename(file.name)
    yield Line("workspace", "ok", str(home.root))


def _locks(home: Home) -> Iterator[Line]:
    """A lock of this process holds against another one, and no longer when it is released."""
    with tempfile.NamedTemporaryFile(dir=home.root / "locks", prefix=".doctor-") as file:
        flock(file, LOCK_EX | LOCK_NB)
        held = _locked_elsewhere(file.name)
        flock(file, LOCK_UN)
        released = not _locked_elsewhere(file.name)
    if held and released:
        yield Line("locks", "ok", "hold between processes")
    else:
        text = f"of {home.root} do not hold between processes, so runs would disturb each other"
        advice = "mount it with locks (NFS 4; Lustre with -o flock), or set PIPELINE_HOME to another file system"
        yield Line("locks", "error", text, advice)


def _locked_elsewhere(file: str) -> bool:
    return subprocess.run([sys.executable, "-I", "-S", "-c", TRY_LOCK, file], check=False).returncode == LOCKED


def _disk(home: Home) -> Iterator[Line]:
    free, status = shutil.disk_usage(home.root).free, os.statvfs(home.root)
    advice = "free some space: python -m pipeline gc deletes what no run needs"
    if status.f_files and not status.f_favail:
        yield Line("disk", "error", f"of {home.root} takes no more files", advice)
    elif free < FREE_ENOUGH:
        yield Line("disk", "warning" if free >= FREE_AT_ALL else "error", f"{size(free)} free", advice)
    else:
        yield Line("disk", "ok", f"{size(free)} free")


def _store(home: Home) -> Iterator[Line]:
    """The bucket, where there is one: it can be written to, and its server knows conditional writes."""
    if os.environ.get("PIPELINE_STORE"):
        from pipeline.store.bucket import SharedStore

        store = home.store
        assert isinstance(store, SharedStore)
        store.expect_conditions()
        yield Line("store", "ok", f"{public(store.url)}, creates an object once")


def _registry(home: Home) -> Iterator[Line]:
    """It answers; where it is a server, its clock agrees with this one."""
    uri = home.tracking_uri
    shown = public(uri)
    try:
        models = len(readers.names(uri))
    except readers.Unknown:
        yield Line("registry", "ok", f"{shown}, which MLflow's client alone can ask")
        return
    except (OSError, sqlite3.Error) as error:
        yield Line(
            "registry",
            "error",
            f"{shown} does not answer ({public(str(error))})",
            "start it, or set MLFLOW_TRACKING_URI",
        )
        return
    yield Line("registry", "ok", f"{shown}, {models} models")
    if database.path_of(uri) is None:
        yield from _clock_of(uri)


def _clock_of(uri: str) -> Iterator[Line]:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SECONDS_OF_REGISTRY) as answer:  # noqa: S310
            there = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (OSError, ValueError, TypeError):
        return
    yield _clock_line("the registry", there)


def _clock(home: Home) -> Iterator[Line]:
    """That of the file system, which is a server's where the workspace is mounted."""
    with tempfile.NamedTemporaryFile(dir=home.root, prefix=".doctor-") as file:
        yield _clock_line("the workspace's file system", Path(file.name).stat().st_mtime)


def _clock_line(whose: str, there: float) -> Line:
    seconds = there - time.time()
    if abs(seconds) < SECONDS_OF_CLOCK:
        return Line("clock", "ok", f"agrees with that of {whose}")
    relation = "ahead of" if seconds < 0 else "behind"
    text = f"this machine's is {abs(seconds):.0f} s {relation} that of {whose}"
    return Line("clock", "warning", text, "synchronize both (timedatectl set-ntp true)")


def _machine(home: Home) -> Iterator[Line]:
    here = ", ".join(filter(None, [f"{cores()} cores", f"{size(memory.available())} of memory available", gpu_line()]))
    if memory.available() < MEMORY_ENOUGH:
        advice = "a training takes 1 to 4 GB; end other programs, or raise the limit of the container"
        yield Line("machine", "warning", here, advice)
    else:
        yield Line("machine", "ok", here)


OF_WORKSPACE: dict[str, Check] = {"locks": _locks, "disk": _disk, "clock": _clock}
