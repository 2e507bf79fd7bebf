"""Several networks as one: they see the same pixels, and their probabilities are averaged.

The result is one flat Keras model like any other, so what evaluates, exports and registers models needs not to know.
B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and scalable predictive uncertainty estimation using deep
ensembles, 2017: arXiv:1612.01474.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from components.settings.sections import Train

Row = dict[str, float]


def members(params: Train) -> list[Train]:
    """The settings of each member: a seed of its own from train.seed up, train.member_models taken in turn."""
    networks = params.networks
    return [
        replace(params, members=1, member_models="", model=networks[k % len(networks)], seed=params.seed + k)
        for k in range(params.members)
    ]


def ensemble(models: Sequence[Any]) -> Any:
    """One model of *models*, which scale pixels alike; the layers of the first are called member1_..., and so on.

    They share the layer that scales, so that the exports find one place where pixels come in.
    """
    import keras

    pixels = models[0].input
    scaled = models[0].get_layer("scaling").output
    copies = [_copy(model, pixels, scaled, f"member{k}_") for k, model in enumerate(models, 1)]
    mean = keras.layers.Average(name="probabilities")([copy.output for copy in copies])
    whole = keras.Model(pixels, mean, name="ensemble")
    for model, copy in zip(models, copies, strict=True):
        copy.set_weights(model.get_weights())  # scaling has none
    return whole


def _copy(model: Any, pixels: Any, scaled: Any, prefix: str) -> Any:
    """*model* anew on *pixels*, which are *scaled* already, its layers named after *prefix*; weights are not set."""
    import keras

    def anew(layer: Any) -> Any:
        if layer.name == "scaling":
            return lambda _: scaled
        return layer.__class__.from_config(layer.get_config() | {"name": prefix + layer.name})

    return keras.models.clone_model(model, input_tensors=pixels, clone_function=anew)


def mean_history(histories: Sequence[Sequence[Row]]) -> list[Row]:
    """A row an epoch: the mean over those of *histories* that went on for so long."""
    longest = max(map(len, histories))
    epochs = [[rows[e] for rows in histories if e < len(rows)] for e in range(longest)]
    return [{name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} for rows in epochs]
