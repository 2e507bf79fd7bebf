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
    return planned(params, normalize)[0]


def planned(params: Train, normalize: Path) -> tuple[Train, str]:
    """What `resolved` gives, and how it trains on the images in the artifact *normalize*, as a sentence."""
    data: NormalizedData = json.loads((normalize / "data.json").read_bytes())
    images = derived.TrainingImages(data["images"]["train"], data["shape"][-1], data["colour_skill"])
    train = derived.training(settled(params), images)
    return train, derived.plan(train, images.number, data["shape"])
