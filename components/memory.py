"""How much memory is to be had, as the system tells it. Standard library only."""

import os
import resource
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")
CGROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Bytes that this process can still take without anything being swapped out, or killed for it.

    The least of what the machine has left, what the container may take (cgroup v2) and what the process may (ulimit
    -v); where none is told, as on macOS, half of the memory that there is.
    """
    return min(_machine(), *_container(), *_process())


def _machine() -> int:
    if MEMINFO.exists():
        for line in MEMINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _container() -> list[int]:
    """What the container's limit leaves; what its files take of it is given back on demand, so it is not counted."""
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        counted = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return [max(0, limit - used + int(counted.get("inactive_file", 0)))]
    except (OSError, ValueError):  # no such limit ("max"), or another system
        return [2**62]


def _process() -> list[int]:
    """What the limit of the process' address space leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or not STATM.exists():
        return [2**62]
    return [max(0, limit - int(STATM.read_text().split()[0]) * resource.getpagesize())]
