"""The untrained network of the settings, and the precision in which it computes."""

import re
from pathlib import Path

from components.artifact_files import Scaling
from components.models import build
from components.models.catalog import preferred_precision
from components.models.config import ModelConfig
from components.settings.sections import Train
from components.system.tensorflow import KerasModel

CPUINFO = Path("/proc/cpuinfo")


class ImageProperties(Scaling):
    """The part of the data.json of normalize that a network depends on."""

    shape: list[int]
    classes: list[str]


def resolve_precision(params: Train) -> str:
    """The precision in which the network of the settings computes.

    "auto" is bfloat16 where this CPU computes in it, as it is slower than float32 elsewhere, unless the network names
    another PRECISION.
    """
    if params.precision != "auto":
        return params.precision
    flags = CPUINFO.read_text() if CPUINFO.exists() else ""
    fastest = "mixed_bfloat16" if re.search(r"\b(amx_bf16|avx512_bf16)\b", flags) else "float32"
    return preferred_precision(params.model, fastest)


def untrained_network(data: ImageProperties, params: Train, precision: str) -> KerasModel:
    """The untrained network of the settings for the images that *data* describes."""
    height, width, channels = data["shape"]
    config = ModelConfig(
        shape=(height, width, channels),
        classes=len(data["classes"]),
        dropout=params.dropout,
        width=params.width,
        depth=params.depth,
        l2=params.l2,
    )
    return build.build(params.model, config, mean=data["mean"], std=data["std"], precision=precision)
