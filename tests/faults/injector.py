"""The library that lets calls on files fail (injector.c), and the file that names the call to its processes."""

import ctypes
import mmap
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
MISSING = "no C compiler is installed"
MODES = ("kill", "eio", "enospc", "torn")  # numbered from 1 in injector.c
TEXT = 1024


class Layout(ctypes.Structure):
    """`struct control` of injector.c."""

    _fields_ = (
        ("calls", ctypes.c_uint64),
        ("point", ctypes.c_uint64),
        ("mode", ctypes.c_uint32),
        ("is_full", ctypes.c_uint32),
        ("root", ctypes.c_char * TEXT),
        ("log", ctypes.c_char * TEXT),
        ("hit", ctypes.c_char * TEXT),
    )


def compiler() -> str | None:
    """The path of the system's C compiler."""
    return shutil.which("cc")


def build(folder: Path) -> Path:
    """The library, compiled into *folder*; raises FileNotFoundError where there is no compiler."""
    if not (program := compiler()):
        raise FileNotFoundError(MISSING)
    library = folder / "injector.so"
    subprocess.run([program, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Injector:
    """Counts the calls that change files below *root* in the processes that have its `environment`."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._file, self._log = folder / "control", folder / "calls"
        self._file.write_bytes(bytes(ctypes.sizeof(Layout)))
        self.environment = {"LD_PRELOAD": str(build(folder)), "FAULT_CONTROL": str(self._file)}
        with self._file.open("r+b") as file:
            self._control = Layout.from_buffer(mmap.mmap(file.fileno(), 0))
        self._root = str(root).encode()

    def arm(self, point: int, mode: str) -> None:
        """Let the call number *point* from now on fail."""
        self.disarm()
        self._control.point, self._control.mode = point, 1 + MODES.index(mode)
        self._control.root = self._root

    def disarm(self) -> None:
        self._control.root = self._control.log = self._control.hit = b""
        self._control.calls = self._control.point = self._control.mode = self._control.is_full = 0

    def record(self) -> None:
        """Write down the calls from now on, for `recorded`."""
        self.disarm()
        self._log.unlink(missing_ok=True)
        self._control.log, self._control.root = str(self._log).encode(), self._root

    def recorded(self) -> list[tuple[str, str]]:
        """Call and path of each point since `record`, in order."""
        self.disarm()
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        points = sorted((int(number), call, path) for number, call, path in (line.split("\t", 2) for line in lines))
        return [(call, path) for _, call, path in points]

    @property
    def hit(self) -> str:
        """Call and path of the point that was reached; empty where none was."""
        return bytes(self._control.hit).decode(errors="replace")
