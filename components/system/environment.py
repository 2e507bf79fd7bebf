"""What of this machine and its variables can change the bits of a result. Standard library only.

None of it is part of a key beyond what a recipe holds already: it says later why the bits of a result differ.
"""

import os
import platform
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypedDict

from components.public_text import public
from components.system.processor import Processor, cores, processor

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# by which TensorFlow, oneDNN, XLA, Keras and the libraries of linear algebra choose how they compute
FAMILIES = re.compile(r"(TF|ONEDNN|DNNL|XLA|KERAS|OMP|OPENBLAS|MKL|EIGEN)_\w+")
# where other machines, or the folders of a user, are: they change no bits
PLACES = re.compile(r"TF_CONFIG|\w+_(HOME|DIR|PATH|FILE)")


class Environment(TypedDict):
    """*caches* are those of the first core, by name ("L1 Data": "32K"); *glibc* is "" where the library is another."""

    python: str
    machine: str
    glibc: str
    processor: Processor
    caches: dict[str, str]
    cores: int
    variables: dict[str, str]


@cache
def environment() -> Environment:
    """What this process computes with, as it was when this was first asked."""
    library, version = platform.libc_ver()
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "glibc": version if library == "glibc" else "",
        "processor": processor(),
        "caches": _caches(),
        "cores": cores(),
        "variables": variables(os.environ),
    }


def variables(of: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """The variables of FAMILIES in *of*, but those that name places."""
    return {name: public(value) for name, value in sorted(of.items()) if is_recorded(name) and "/" not in value}


def is_recorded(name: str) -> bool:
    return FAMILIES.fullmatch(name) is not None and not PLACES.fullmatch(name)


def _caches() -> dict[str, str]:
    """Libraries cut their matrices into blocks that fit into these; {} where the system does not say."""
    sizes = {}
    for folder in sorted(CACHES.glob("index*")):
        with suppress(OSError):
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            sizes[f"L{level} {kind}"] = size
    return sizes
