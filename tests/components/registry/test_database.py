"""MLflow's database: made whole or not at all, and readable after a write that was interrupted."""

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from components.errors import RegistryRefused, RegistryUnreachable
from components.registry import database
from components.registry.client import Registry
from components.system import locks

NOBODY = 65534
INTERRUPTED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size = 1")  # so that pages are written to the file before the commit
for number in range(2000):
    connection.execute("INSERT INTO registered_models (name, workspace) VALUES (?, 'default')", (f"new-{number}" * 50,))
os.kill(os.getpid(), signal.SIGKILL)
"""


def change(path: Path, *statements: str, age: float = 60) -> None:
    """Execute *statements* in the database *path*, which looks as if that had been *age* seconds ago."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


def half_made(path: Path) -> None:
    """Leave *path* as a process does that is killed between two steps of MLflow's migration."""
    change(path, "DROP TABLE webhooks", "DELETE FROM alembic_version")


def interrupt(path: Path) -> None:
    """Kill a process in the middle of a write to *path*."""
    killed = subprocess.run([sys.executable, "-c", INTERRUPTED, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-journal").stat().st_size > 0


@pytest.fixture
def path(tmp_path: Path, empty_database: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))


def test_an_interrupted_write_is_undone_by_the_next_reader(registry: Registry, path: Path) -> None:
    """The journal that a killed process leaves is rolled back: the models are those of before, and writes work."""
    registry.create_model("m", "")
    interrupt(path)
    assert Registry(registry.uri).names() == ["m"]
    assert not path.with_name("mlflow.db-journal").exists()
    registry.create_model("n", "")
    assert registry.names() == ["m", "n"]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Within the block, this process may read *folder* and not write there."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.fixture
def shared(path: Path) -> Iterator[Path]:
    """The database in a folder that every user may read."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copy(path, folder))


def test_a_user_who_may_only_read_reads(shared: Path) -> None:
    """In a folder that this user may not write, the models are listed."""
    change(shared, "INSERT INTO registered_models (name, workspace) VALUES ('m', 'default')")
    with read_only(shared.parent):
        assert Registry(f"sqlite:///{shared}").names() == ["m"]


def test_a_user_who_may_only_read_is_told_who_can_undo_an_interrupted_write(shared: Path) -> None:
    """Undoing takes a write: the sentence says so, and one command of a user who may write is enough."""
    interrupt(shared)
    registry = Registry(f"sqlite:///{shared}")
    with read_only(shared.parent), pytest.raises(RegistryUnreachable, match=r"interrupted.*may not write.*models$"):
        registry.names()
    assert registry.names() == []
    with read_only(shared.parent):
        assert registry.names() == []


def test_a_half_made_database_without_content_is_set_aside_and_made_again(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost: the old file stays under another name, one sentence says so, and reading alone makes nothing."""
    half_made(path)
    registry = Registry(f"sqlite:///{path}")
    assert registry.names() == []
    assert [file.name for file in path.parent.iterdir()] == ["mlflow.db"]
    registry.create_model("m", "")
    assert registry.names() == ["m"]
    assert path.with_name("mlflow.db.broken").exists()
    assert "mlflow.db is half made and holds nothing; it is set aside as mlflow.db.broken" in capfd.readouterr().err


def test_a_half_made_database_with_content_is_never_set_aside(path: Path) -> None:
    """MLflow is asked to open it, and its message is followed by what to do."""
    half_made(path)
    change(path, "INSERT INTO experiments (experiment_id, name, workspace) VALUES (7, 'mine', 'default')")
    with pytest.raises(RegistryRefused, match=r"mlflow\.db.* cannot be opened by MLflow \(.*; .*db upgrade .*backup"):
        Registry(f"sqlite:///{path}").create_model("m", "")
    assert not path.with_name("mlflow.db.broken").exists()


@pytest.mark.parametrize("name", ["job%2Fnight", "100% %20", "home?x=1", "home%41", "a#b;c'd\"e", "naïve ☂"])
def test_the_registry_lies_in_its_folder_whatever_the_folder_is_called(
    name: str, tmp_path: Path, empty_database: Path
) -> None:
    """SQLAlchemy decodes an address and cuts it at a question mark; MLflow makes folders of it undecoded."""
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    registry = Registry(database.address_of(folder / "mlflow.db"))
    registry.create_model("m", "")
    assert registry.names() == ["m"]
    assert [file.name for file in tmp_path.rglob("*")] == [name, "mlflow.db"]


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """Tables that are not MLflow's are no half-made database of MLflow."""
    path = tmp_path / "other.db"
    change(path, "CREATE TABLE invoices (amount)")
    database.prepare(path)
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


def test_a_database_is_made_once_and_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three that need it at once one makes it and the others wait, whatever a killed process left beside it."""
    monkeypatch.setattr(locks, "FIRST_SECONDS", 0.01)
    path = tmp_path / "mlflow.db"
    for name in ("mlflow.db-journal", ".mlflow.db.draft", ".mlflow.db.draft-journal"):
        (tmp_path / name).write_bytes(b"left by a killed process" * 100)
    with (tmp_path / ".mlflow.db.lock").open("w") as lock, ThreadPoolExecutor(3) as threads:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = [threads.submit(database.prepare, path) for _ in range(3)]
        said = ""
        while said.count("waiting for MLflow's database mlflow.db, which") < 3:
            said += capfd.readouterr().err
            assert not any(waiter.done() for waiter in waiting)
        fcntl.flock(lock, fcntl.LOCK_UN)
        for waiter in waiting:
            waiter.result()
    assert capfd.readouterr().err.count("creating MLflow's database mlflow.db; this takes some seconds, once") == 1
    assert {file.name for file in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.broken-journal", ".mlflow.db.lock"}
    assert Registry(f"sqlite:///{path}").names() == []


def test_a_database_that_another_program_is_making_is_waited_for(
    path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own server makes its tables in place: a file that changed just now is not set aside."""
    half_made(path)
    os.utime(path)
    monkeypatch.setattr("components.registry.database.time.sleep", lambda _: shutil.copy(empty_database, path))
    database.prepare(path)
    assert not path.with_name("mlflow.db.broken").exists()
