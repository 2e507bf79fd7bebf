"""Locks between processes: a message says who is waited for."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.system import locks
from components.system.locks import acquire, is_locked, wait


@contextmanager
def held(file: Path) -> Iterator[int]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        acquire(handle, "it")
        yield handle
    finally:
        os.close(handle)


def wait_for(file: Path, lines: int, capfd: pytest.CaptureFixture[str]) -> str:
    """What another holder of *file* prints while it waits, once it has printed so many lines."""
    printed = ""
    with held(file) as first:
        waiting = threading.Thread(target=lambda: held(file).__enter__())
        waiting.start()
        end = time.monotonic() + 60
        while printed.count("\n") < lines and time.monotonic() < end:
            printed += capfd.readouterr().err
            time.sleep(0.001)
        fcntl.flock(first, fcntl.LOCK_UN)
        waiting.join()
    return printed


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(locks, "REPEATED_SECONDS", 0.001)


def test_who_waits_says_for_what_and_for_whom_and_says_it_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process that waits for hours must not do so without a word."""
    line = f"  waiting for it, which process {os.getpid()} holds; Ctrl-C ends the waiting"
    # a line may be cut where capfd empties its file while it is written
    assert wait_for(tmp_path / "lock", 20, capfd).count(line) > 2


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Once, twice, and after its holder has let go."""
    for _ in range(2):
        with held(tmp_path / "lock"):
            assert is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")
    assert capfd.readouterr().err == ""


def test_the_lock_of_another_user_is_taken_for_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may only read a workspace can list its runs."""
    opened = os.open

    def refused(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR or path.name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode)

    (tmp_path / "readable").touch()
    (tmp_path / "private").touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        locked = {name: is_locked(tmp_path / name) for name in ("readable", "private", "missing")}
    assert locked == {"readable": False, "private": True, "missing": False}


@pytest.mark.parametrize("flags", [os.O_RDWR, os.O_WRONLY | os.O_APPEND])
def test_a_locked_log_keeps_its_content(tmp_path: Path, flags: int, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that holds something else names no holder."""
    log = tmp_path / "log"
    log.write_text('{"a": 1}\n')
    handles = [os.open(log, flags) for _ in range(2)]
    wait(handles[0], "the log")
    waiting = threading.Thread(target=wait, args=(handles[1], "the log"))
    waiting.start()
    said = ""
    while "waiting for the log, which another process holds" not in said:
        said += capfd.readouterr().err
    fcntl.flock(handles[0], fcntl.LOCK_UN)
    waiting.join()
    for handle in handles:
        os.close(handle)
    assert log.read_text() == '{"a": 1}\n'
