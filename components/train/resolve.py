"""The settings of a training, with what the machine and the images decide where they are left open.

Everything enters the key by value. Standard library only: a run with nothing to do asks for the key.
"""

import json
from pathlib import Path

from components.artifact_files import NormalizedData
from components.settings import derived
from components.settings.sections import Train
from components.train.machine import settled


def resolved(params: Train, normalize: Path) -> Train:
    """*params* with a value for each setting that is left open, for the images in the artifact *normalize*."""
    return derived.training(settled(params), _read(normalize)["images"]["train"])


def plan(params: Train, normalize: Path) -> str:
    """How the resolved *params* train on the images in the artifact *normalize*, as a sentence."""
    data = _read(normalize)
    return derived.plan(params, data["images"]["train"], data["shape"])


def _read(normalize: Path) -> NormalizedData:
    data: NormalizedData = json.loads((normalize / "data.json").read_bytes())
    return data
