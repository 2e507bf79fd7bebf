"""What tests share: the command line as a process, and one finished run, made once a session, to look at or to copy."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

import pipeline  # noqa: F401 - sets the variables that keep every library from calling home
from components.registry.client import Registry
from components.system.processes import end_with_parent
from tests.support.xdist_scheduler import Scheduler, workers

pytest_plugins = ["tests.support.durations", "tests.support.expected_services"]

ROOT = Path(__file__).parents[1]
NUMBERS = itertools.count(1)  # of prefixes in the bucket

# A run that is quick rather than good: the smallest network, two epochs, and gates that let it pass.
QUICK = (
    "train.model=dense",
    "train.epochs=2",
    "gate.min_accuracy=0.1",
    "gate.max_export_loss=1",
    "gate.max_regression=1",
)

# The environment of a user: without the variables of the session that runs the tests.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PIPELINE_", "MLFLOW_TRACKING", "MNIST_DIR", "TFDS_DATA_DIR", "PYTHONDONTWRITEBYTECODE"))
}


def command(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`python -m pipeline ARGUMENTS` in a process of its own, with *home* as PIPELINE_HOME."""
    return command_of(ROOT, home, *arguments, **environment)


def command_of(
    code: Path, home: Path, *arguments: str, prefix: Sequence[str] = (), **environment: str
) -> "subprocess.CompletedProcess[str]":
    """The same of another checkout, *code*; *prefix* is a command that runs it."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "pipeline", *arguments],
        cwd=code,
        env={**CLEAN, "PIPELINE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=end_with_parent,
        check=False,
    )


def quick_run(home: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """The JSON of a quick run on digits, which has to succeed."""
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = command(home, "run", "--json", "--source", "digits", *settings, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, even in the background of a shell, where it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A busy machine is no failure, and a failure must be reproducible: every call tries the same examples.
    slow = [HealthCheck.too_slow]
    settings.register_profile("loaded", deadline=None, suppress_health_check=slow, derandomize=True)
    settings.load_profile("loaded")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return workers(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    return Scheduler(config, log)


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """The folder *name*, filled once a session by the first worker that needs it; the others wait."""
    root = factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            try:
                fill(folder)
            except BaseException:
                shutil.rmtree(folder)
                raise
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a quick run of all eight stages. Read only: run in `home`."""
    return once(tmp_path_factory, "finished", quick_run)


@pytest.fixture(scope="session")
def trained_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run on the digits with the defaults of their source. Read only."""

    def run(home: Path) -> None:
        done = command(home, "run", "--source", "digits")
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "trained-digits", run)


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run's home, to run in."""
    copy = tmp_path / "home"
    shutil.copytree(finished, copy, symlinks=True)
    return copy


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow: to create it takes seconds, so each test gets a copy."""

    def create(folder: Path) -> None:
        assert Registry(f"sqlite:///{folder / 'mlflow.db'}").client

    return once(tmp_path_factory, "empty-database", create) / "mlflow.db"


@pytest.fixture(scope="session")
def bucket() -> Iterator[dict[str, str]]:
    """The variables that lead to a server with the bucket `models`."""
    import s3fs

    from tests.support.s3_server import served

    with served() as variables:
        os.environ.update(variables)
        try:
            s3fs.S3FileSystem().mkdir("models")
            yield variables
        finally:
            for name in variables:
                del os.environ[name]


@pytest.fixture
def prefix(bucket: dict[str, str]) -> str:
    """An address in the bucket that no other test uses."""
    return f"s3://models/test-{next(NUMBERS)}"
