"""Leases: what a live process uses is not deleted under it, and whatever ends the process frees it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.store.leases import DAYS_TO_DIE, Leases
from pipeline.store.local import Store
from pipeline.store.recipe import key
from tests.conftest import ROOT
from tests.pipeline.store.test_local_and_bucket import publish, recipe

ITEM = ("train", "0" * 16)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


@contextmanager
def another_process(store: Store, body: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that does *body* with the *store*, then waits for a line of input."""
    script = f"""
import os, sys; from pathlib import Path; from pipeline.store.local import Store
from tests.pipeline.store.test_local_and_bucket import publish, recipe
store = Store(Path({str(store.root)!r}))
{body}
print("ready", flush=True); sys.stdin.readline()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


USES = {
    "looked up": f"store.get('train', {key(recipe())!r})",
    "made": "publish(store, recipe(), {'a': b'1'})",
    "being made": f"draft = store.draft('train', {key(recipe())!r}); draft.__enter__()",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_what_a_live_process_uses_is_not_deleted(store: Store, use: str) -> None:
    """However it came to the artifact; kill -9 frees it."""
    made = publish(store, recipe(), {"a": b"1"})
    with another_process(store, use) as process:
        assert store.leases.others() == {("train", made.key)}
        assert not store.delete("train", made.key)
        assert (made.path / "a").read_bytes() == b"1"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert store.delete("train", made.key)
    assert not made.path.exists()


def test_a_manifest_that_is_only_read_protects_nothing(store: Store) -> None:
    """`gc` itself reads them all."""
    made = publish(store, recipe(), {"a": b"1"})
    with another_process(store, f"store.get('train', {made.key!r}, files=False)"):
        assert store.delete("train", made.key)


def test_a_reader_that_comes_while_an_artifact_is_deleted_finds_none(store: Store) -> None:
    """It waits until the artifact is renamed away, and never holds one that goes."""
    made, found = publish(store, recipe(), {"a": b"1"}), []
    with store.leases.withdrawing("train", made.key) as free:
        assert free
        script = f"print(store.get('train', {made.key!r}))"
        reader = threading.Thread(target=lambda: found.append(answer(store, script)))
        reader.start()
        until(lambda: opened_by_others(store.root / ".leases" / "gate"))
        made.path.rename(made.path.with_name(".draft-x"))
    reader.join()
    assert found == ["None\n"]


def answer(store: Store, body: str) -> str:
    """What another process prints that does *body* with the *store* and ends."""
    script = (
        f"from pathlib import Path; from pipeline.store.local import Store; store = Store(Path({str(store.root)!r}))"
    )
    command = [sys.executable, "-c", f"{script}; {body}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def opened_by_others(path: Path) -> bool:
    """Whether another process has *path* open; it does so just before it waits for the lock."""
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if handle.readlink() == path and handle.parts[2] != str(os.getpid()):
                return True
        except OSError:
            continue
    return False


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_own_leases_do_not_count(store: Store) -> None:
    """Who deletes knows what it uses itself."""
    made = publish(store, recipe(), {"a": b"1"})
    assert store.leases.others() == set()
    assert store.delete("train", made.key)


def test_a_fork_writes_a_lease_of_its_own(store: Store) -> None:
    """It would otherwise write into that of its parent."""
    publish(store, recipe(), {"a": b"1"})
    body = (
        "store.leases.take('a', 'parent')\n"
        "if not os.fork():\n"
        "    store.leases.take('a', 'child'); sys.stdin.readline(); os._exit(0)"
    )
    with another_process(store, body):
        until(lambda: store.leases.others() == {("a", "parent"), ("a", "child")})
        assert len(list((store.root / ".leases").glob("*-*"))) == 3


def test_a_process_that_ends_leaves_no_file(store: Store) -> None:
    """One that is killed leaves one, until the next run sweeps it."""
    publish(store, recipe(), {"a": b"1"})
    before = set((store.root / ".leases").iterdir())
    assert answer(store, f"store.get('train', {key(recipe())!r})") == ""
    assert set((store.root / ".leases").iterdir()) == before
    with another_process(store, f"store.get('train', {key(recipe())!r})") as process:
        process.kill()
        process.wait()
    assert len(set((store.root / ".leases").iterdir()) - before) == 1
    store.sweep()
    assert set((store.root / ".leases").iterdir()) == before


def test_the_lease_of_another_machine_counts_for_a_week(tmp_path: Path) -> None:
    """Its lock may not be visible here, on a file system that several machines share."""
    leases = Leases(tmp_path)
    file = tmp_path / "another-x1"
    file.write_text("/".join(ITEM) + "\n")
    assert leases.others() == {ITEM}
    week_ago = time.time() - DAYS_TO_DIE * 86_400 - 1
    os.utime(file, (week_ago, week_ago))
    assert leases.others() == set()
    leases.sweep()
    assert not file.exists()


def test_who_may_not_write_can_read(store: Store) -> None:
    """A store on a read-only disk is read without leases."""
    made = publish(store, recipe(), {"a": b"1"})
    file = store.root / ".leases"
    moved = file.rename(file.with_name("elsewhere"))
    file.write_text("")  # no folder can be made here, by root either
    assert moved.is_dir()
    assert answer(store, f"print(store.get('train', {made.key!r}).digest)") == f"{made.digest}\n"


def test_a_lease_costs_next_to_nothing(tmp_path: Path) -> None:
    """An idle run takes eight."""
    leases = Leases(tmp_path / ".leases")
    start = time.process_time()
    for number in range(100):
        leases.take("train", f"{number:016x}")
    assert time.process_time() - start < 0.1
