"""How much memory is available, according to the system. Standard library only."""

import os
import resource
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
STATUS = Path("/proc/self/status")
LIMITS = {"VmData": resource.RLIMIT_DATA, "VmSize": resource.RLIMIT_AS}  # what each limit bounds


def available() -> int:
    """Bytes that this process can still allocate without anything being swapped out or killed.

    The minimum of what the machine has left, what each control group (v2) around the process may take and what
    `ulimit` allows; where the system reports none of these, as on macOS, half of its memory.
    """
    return min([_machine(), *(left for group in control_groups() for left in _left(group)), *_process()])


def _machine() -> int:
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return in_bytes(MEMINFO).get("MemAvailable", half)


def _process() -> list[int]:
    used, limits = in_bytes(STATUS), {name: resource.getrlimit(limit)[0] for name, limit in LIMITS.items()}
    return [max(0, limits[n] - used.get(n, 0)) for n in LIMITS if limits[n] != resource.RLIM_INFINITY]


def in_bytes(path: Path) -> dict[str, int]:
    """The lines "Name: 12 kB" of *path*; empty where there is no such file."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = (line.replace(":", " ").split() for line in lines)
    return {row[0]: int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def control_groups() -> list[Path]:
    """The control group (v2) of this process and those around it: container, pod, service, user's slice.

    A container that has a namespace of its own sees its group as the root.
    """
    lines = MEMBERSHIP.read_text().splitlines() if MEMBERSHIP.exists() else []
    own = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), "")
    folder = CGROUP / own
    return [group for group in (folder, *folder.parents) if group.is_relative_to(CGROUP)]


def _left(group: Path) -> list[int]:
    """What the limit of *group* leaves. Its page cache is not counted, as the kernel frees that on demand."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return [max(0, limit - used + int(counted.get("inactive_file", 0)))]
    except (OSError, ValueError):  # no limit ("max"), or another system
        return []
