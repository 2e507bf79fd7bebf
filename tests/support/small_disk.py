"""Small file systems: one that needs no rights, and one that covers a folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MISSING = "needs the right to mount a file system"
MOUNT = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && exec cat'  # cat ends with its standard input


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """An empty file system of *size* (2m, 16k), gone with the block; skips where nothing may be mounted.

    It needs no root: a process in a user namespace of its own mounts it on *folder*, and all others of this user reach
    it through that process. The path is therefore another one than *folder*.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (program := shutil.which("unshare")):
        pytest.skip(MISSING)
    command = [program, "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", size, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        if not holder.stdout.readline():
            pytest.skip(MISSING)
        yield Path(f"/proc/{holder.pid}/root{folder.absolute()}")


@contextmanager
def mounted_on(folder: Path, size: str) -> Iterator[None]:
    """A file system of *size* that hides what is in *folder* from every process; skips all but root."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip(MISSING)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
