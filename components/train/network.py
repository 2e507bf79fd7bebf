"""The untrained network of the settings."""

from components.artifact_files import Scaling
from components.models import build
from components.models.config import ModelConfig
from components.settings.sections import Train
from components.system.tensorflow import KerasModel


class ImageProperties(Scaling):
    """The part of the data.json of normalize that a network depends on."""

    shape: list[int]
    classes: list[str]


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
        standardize=params.standardize,
    )
    return build.build(params.model, config, mean=data["mean"], std=data["std"], precision=precision)
