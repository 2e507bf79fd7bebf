"""Folders that other processes read: they stay until the last reader ends."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.system import held_folders
from tests.conftest import ROOT


@contextmanager
def reader(folder: Path) -> Iterator[None]:
    """Another process that holds *folder*."""
    script = f"""
import sys; from pathlib import Path; from components.system import held_folders
assert held_folders.hold(Path({str(folder)!r})); print("ready", flush=True); sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


def is_free(folder: Path) -> bool:
    with held_folders.withdrawing(folder) as free:
        return free


def test_a_folder_is_free_once_its_last_reader_has_ended(tmp_path: Path) -> None:
    """Several may read it; what this process itself holds is its own to remove."""
    with reader(tmp_path):
        with reader(tmp_path):
            assert not is_free(tmp_path)
        assert not is_free(tmp_path)
    assert held_folders.hold(tmp_path)
    assert is_free(tmp_path)
    assert is_free(tmp_path / "none")


def test_holding_notes_the_time_of_use(tmp_path: Path) -> None:
    """By which `gc` sees what is still needed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    os.utime(folder, (0, 0))
    assert held_folders.hold(folder)
    assert time.time() - folder.stat().st_mtime < 60


def test_what_is_removed_while_a_process_waits_is_not_held(tmp_path: Path) -> None:
    """It gets the answer that there is no such folder, and makes it again."""
    folder, answers = tmp_path / "copy", list[bool]()
    folder.mkdir()
    with held_folders.withdrawing(folder) as free:
        assert free
        waiting = threading.Thread(target=lambda: answers.append(held_folders.hold(folder)))
        waiting.start()
        folder.rename(tmp_path / ".gone-copy")
    waiting.join()
    assert answers == [False]
    folder.mkdir()
    assert held_folders.hold(folder)
