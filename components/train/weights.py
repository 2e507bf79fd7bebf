"""The weights that a training starts from (train.weights): those of another network, where name and shape match.

A layer takes the weights of the layer with its name if all their shapes are equal. The others stay new, and so does the
last one where the other network has other classes, or the same in another order. In the frozen epochs the layers that
took weights keep them, and their batch normalisation runs in inference mode.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from components.errors import ArtifactCorrupt, ConfigError
from components.models.catalog import module_of
from components.models.saving import read_classes, read_model, reading
from components.settings.sections import IMAGENET, Train
from components.system.tensorflow import KerasModel, Layer

FIRST_MEMBER = "member1_"  # what the layers of an ensemble's first network are called


class Initialized(NamedTuple):
    """The layers of a network that took weights, and the number of those that have any."""

    layers: list[Layer]
    total: int

    def __str__(self) -> str:
        new = self.total - len(self.layers)
        return f"{len(self.layers)} of {self.total} layers" + (f"; {new} new" if new else "")


def initialize(model: KerasModel, file: Path | None, params: Train, classes: Sequence[str]) -> Initialized:
    """Give *model*, of *classes*, the weights in *file*, as far as they fit; none where *file* is None.

    Raises ConfigError where they fit no layer, or *file* holds no weights.
    """
    layers = [layer for layer in model.layers if layer.weights]
    if file is None:
        return Initialized([], len(layers))
    known = {layer.name.removeprefix(FIRST_MEMBER): layer for layer in _layers(_read(file, params))}
    fitting = [layer for layer in layers if layer.name in known and _shapes(layer) == _shapes(known[layer.name])]
    if not fitting:
        raise ConfigError(
            f"train.weights is {params.weights}, whose weights fit no layer of {params.model}: of its {len(layers)} "
            f"layers {len(known.keys() & {layer.name for layer in layers})} have the name of a layer there, and none "
            "the shape; choose other weights or another train.model"
        )
    if fitting[-1] is layers[-1] and _has_other_classes(file, params, classes):
        fitting.pop()
    for layer in fitting:
        layer.set_weights(known[layer.name].get_weights())
    return Initialized(fitting, len(layers))


def _read(file: Path, params: Train) -> KerasModel:
    try:
        if params.weights != IMAGENET:
            return read_model(file)
        with reading(file):
            return import_module(module_of(params.model)).imagenet(file)
    except ArtifactCorrupt as error:
        raise ConfigError(f"train.weights is {params.weights}: {error}; replace the file or choose another") from error


def _has_other_classes(file: Path, params: Train, classes: Sequence[str]) -> bool:
    known = read_classes(file) if params.weights != IMAGENET else None
    return known is not None and known != [*classes]


def _layers(model: KerasModel) -> Iterator[Layer]:
    """The layers of *model* that have weights, those of a network inside it too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        elif layer.weights:
            yield layer


def _shapes(layer: Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
