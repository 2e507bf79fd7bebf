"""Several networks as one model: they get the same pixels, and their probabilities are averaged.

The result is one flat Keras model like any other, so that evaluation, export and the registry need no special case.
B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and scalable predictive uncertainty estimation using deep
ensembles, 2017: arXiv:1612.01474.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from components.artifact_files import HistoryRow
from components.settings.sections import Train
from components.system.tensorflow import KerasModel, Layer, Tensor


def member_settings(params: Train) -> list[Train]:
    """The settings of each member: seeds from train.seed up, and the networks of train.member_models in turn."""
    networks = params.networks
    return [
        replace(params, members=1, member_models="", model=networks[k % len(networks)], seed=params.seed + k)
        for k in range(params.members)
    ]


def ensemble(models: Sequence[KerasModel]) -> KerasModel:
    """One model of *models*, which scale pixels alike; the layers of the first are called member1_..., and so on.

    They share the layer that scales, so that the exports find one place where pixels come in.
    """
    import keras

    pixels = models[0].input
    scaled = models[0].get_layer("scaling").output
    copies = [_copy(model, pixels, scaled, f"member{k}_") for k, model in enumerate(models, 1)]
    mean = keras.layers.Average(name="probabilities")([copy.output for copy in copies])
    combined = keras.Model(pixels, mean, name="ensemble")
    for model, copy in zip(models, copies, strict=True):
        copy.set_weights(model.get_weights())  # scaling has none
    return combined


def _copy(model: KerasModel, pixels: Tensor, scaled: Tensor, prefix: str) -> KerasModel:
    """A copy of *model*, without its weights, on *pixels* that are *scaled* already; its layers get the *prefix*."""
    import keras

    def clone(layer: Layer) -> Layer | Callable[[Tensor], Tensor]:
        if layer.name == "scaling":
            return lambda _: scaled
        return layer.__class__.from_config(layer.get_config() | {"name": prefix + layer.name})

    return keras.models.clone_model(model, input_tensors=pixels, clone_function=clone)


def mean_history(histories: Sequence[Sequence[HistoryRow]]) -> list[HistoryRow]:
    """A row an epoch: the mean over those of *histories* that have that epoch."""
    longest = max(map(len, histories))
    epochs = [[rows[e] for rows in histories if e < len(rows)] for e in range(longest)]
    return [{name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} for rows in epochs]
