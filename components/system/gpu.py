"""The GPUs that TensorFlow computes on, known without importing it. Standard library only.

NVIDIA's driver lists its devices below /proc. TensorFlow takes those that CUDA_VISIBLE_DEVICES leaves, where the CUDA
libraries are installed: those of `tensorflow[and-cuda]`, the extra `gpu` of this project.
"""

import os
import re
from pathlib import Path

from components.system.distributions import version

DEVICES = Path("/proc/driver/nvidia/gpus")  # PCI address/information, for each device
LIBRARIES = ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus() -> list[str]:
    """The model of each GPU that TensorFlow uses here, in the order in which it numbers them."""
    return _visible(devices(), os.environ.get(VISIBLE)) if _has_cuda() else []


def devices() -> list[str]:
    """The model of each of NVIDIA's devices on this machine, whether TensorFlow can use it or not."""
    return [_model(file) for file in sorted(DEVICES.glob("*/information"))]


def line() -> str:
    """What the log says of the GPUs of this machine: the ones used, or how to use them; "" where there are none."""
    if used := gpus():
        return f"on {named(used)}"
    if _has_cuda() or not (here := devices()) or os.environ.get(VISIBLE) in ("", "-1"):
        return ""
    return f"{named(here)} not used: TensorFlow is installed without CUDA; make clean setup LOCK=requirements-gpu.lock"


def named(models: list[str]) -> str:
    """What a line of the log and the key say, such as "2 x NVIDIA H100"."""
    counts = {model: models.count(model) for model in sorted(models)}
    return ", ".join(f"{count} x {model}" if count > 1 else model for model, count in counts.items())


def _model(file: Path) -> str:
    match = re.search(r"^Model:\s*(.+?)\s*$", file.read_text(errors="replace"), re.MULTILINE)
    return match[1] if match else "NVIDIA GPU"


def _visible(models: list[str], chosen: str | None) -> list[str]:
    """As CUDA reads the variable: numbers up to the first that is none; names of devices stand for all of them."""
    if chosen is None:
        return models
    kept: list[str] = []
    for text in chosen.split(","):
        if text.strip().startswith(("GPU-", "MIG-")):
            return models
        if not text.strip().isdecimal() or int(text) >= len(models):
            break
        kept.append(models[int(text)])
    return kept


def _has_cuda() -> bool:
    for library in LIBRARIES:
        try:
            version(library)
        except ModuleNotFoundError:  # importlib.metadata's PackageNotFoundError, which takes 50 ms to import
            continue
        return True
    return False
