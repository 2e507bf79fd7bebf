"""The features of images: what the last layer of a network gets that has weights, which mostly computes the logits."""

import math

import numpy as np

from components.models.prediction import Predictor, keras_predictor
from components.system.tensorflow import KerasModel, Tensor, tensorflow

MOST = 256  # features of a network; of more, random sums are taken


def feature_predictor(model: KerasModel) -> Predictor:
    """uint8 images (n, H, W, C) -> float32 (n, features), of each network of *model* a vector of length 1.

    The cosine of two images is then the dot product of their features, for an ensemble but for a factor.
    """
    tensorflow()
    import keras

    vectors = [keras.ops.normalize(_vector(tensor)) for tensor in last_inputs(model)]
    return keras_predictor(keras.Model(model.inputs, keras.ops.concatenate(vectors, axis=1)))


def last_inputs(model: KerasModel) -> list[Tensor]:
    """What the last layers with weights get: one tensor, for an ensemble one of each network.

    Without any weights it is the probabilities themselves.
    """
    import keras

    layers = keras.Model(model.inputs, model.outputs).operations
    layer_of = {id(output): layer for layer in layers for output in keras.tree.flatten(layer.output)}
    found: list[Tensor] = []
    open_ends = list(model.outputs)
    while open_ends:
        layer = layer_of.get(id(open_ends.pop(0)))
        inputs = keras.tree.flatten(layer.input) if layer and not isinstance(layer, keras.layers.InputLayer) else []
        if getattr(layer, "weights", ()):
            found += inputs
        else:
            open_ends += inputs
    return found or model.outputs


def _vector(features: Tensor) -> Tensor:
    """(n, at most MOST) float32: the mean over positions, or, of too many features, sums of random ones.

    Each feature is added to one of MOST sums, its sign at random, which keeps dot products but for a small error:
    K. Weinberger et al., Feature hashing for large scale multitask learning, ICML 2009, arXiv:0902.2206.
    """
    import keras

    vector = keras.ops.cast(features, "float32")
    if len(vector.shape) > 2:
        vector = keras.ops.mean(vector, axis=tuple(range(1, len(vector.shape) - 1)))
    size = vector.shape[1]
    if size <= MOST:
        return vector
    rng, each = np.random.default_rng(0), math.ceil(size / MOST)
    order, signs = rng.permutation(size), rng.choice(np.array([-1, 1], np.float32), size)
    mixed = keras.ops.pad(keras.ops.take(vector * signs, order, axis=1), [(0, 0), (0, MOST * each - size)])
    return keras.ops.sum(keras.ops.reshape(mixed, (-1, MOST, each)), axis=2)
