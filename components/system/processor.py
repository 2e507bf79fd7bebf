"""The processor: how many of its cores this process may use, and what kind it is. Standard library only."""

import math
import os
import platform
import re
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TypedDict

from components.system.memory import control_groups

CPUINFO = Path("/proc/cpuinfo")
# The instructions by which libraries choose how they compute; of the others a processor lists a hundred.
INSTRUCTIONS = re.compile(r"amx_\w+|avx\w*|f16c|fma|sse4_\d|asimd\w*|bf16|i8mm|sve\w*")


class Processor(TypedDict):
    model: str
    instructions: list[str]


def cores() -> int:
    """The cores that this process may use: those it is bound to, and no more than a container or pod may take."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *(math.ceil(quota) for group in control_groups() for quota in _quota(group))]))


def _quota(group: Path) -> list[float]:
    """How many cores the control group (v2) may take, [] without a limit: cpu.max holds "200000 100000" for two."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        limit, period = (group / "cpu.max").read_text().split()
        return [int(limit) / int(period)]
    return []


def has_fast_bfloat16() -> bool:
    """Whether the processor computes in bfloat16; elsewhere that is slower than float32."""
    return bool(re.search(r"\b(amx_bf16|avx512_bf16)\b", _cpuinfo()))


def processor() -> Processor:
    """The kind of this processor: on another kind, sums of floats may end in other bits."""
    text = _cpuinfo()
    named = re.search(r"^(?:model name|CPU part)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    instructions = sorted(flag for flag in flags[1].split() if INSTRUCTIONS.fullmatch(flag)) if flags else []
    return {"model": named[1] if named else platform.processor() or platform.machine(), "instructions": instructions}


def _cpuinfo() -> str:
    """What the system says of the first core: on a machine with many, all of them take it tens of milliseconds."""
    try:
        with CPUINFO.open(errors="replace") as lines:
            return "".join(takewhile(str.strip, lines))
    except OSError:  # another system than Linux
        return ""
