"""Complexity: parameters, bytes and multiply-accumulates, compared with counts by hand."""

import pytest

from components.models import build
from components.models.complexity import complexity
from components.models.config import ModelConfig


def test_the_tutorials_cnn_costs_what_a_count_by_hand_says() -> None:
    """26x26x32 outputs of 3x3x1, 11x11x64 of 3x3x32, and 1,600 x 10; four bytes a parameter."""
    counted = complexity(build.build("cnn", ModelConfig((28, 28, 1), 10), mean=[0.1], std=[0.3]))
    convolutions = 26 * 26 * 32 * 9 + 11 * 11 * 64 * 9 * 32
    assert counted == {
        "parameters": 34_826,
        "weight_bytes": 4 * 34_826,
        "macs": convolutions + 16_000,
        "macs_by_type": {"convolution": convolutions, "dense": 16_000},
    }


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 24, 3)])
def test_every_kind_of_layer_is_counted(shape: tuple[int, int, int]) -> None:
    """Strided, depthwise, separable and transposed convolutions, dense layers on sequences, attention."""
    from components.system.tensorflow import tensorflow

    tensorflow()
    import keras
    from keras import layers

    h, w, c = shape
    images = keras.Input(shape)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="strided")(images)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.SeparableConv2D(6, 3, padding="same")(x)
    x = layers.Conv2DTranspose(4, 2, strides=2)(x)
    x = layers.Reshape((h * w, 4))(x)
    x = layers.Dense(6)(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    places, half = h * w, h * w // 4
    assert complexity(keras.Model(images, x))["macs_by_type"] == {
        "convolution": half * 9 * c * 8 + half * 8 * 6,
        "depthwise convolution": 2 * half * 9 * 8,
        "transposed convolution": half * 4 * 6 * 4,
        "dense": places * 4 * 6,
        "attention": 4 * places * 6 * 6 + 2 * places * places * 6,
    }


def test_an_ellipsis_in_an_einsum_is_counted_too() -> None:
    """`...` stands for the dimensions that the equation leaves out."""
    from components.system.tensorflow import tensorflow

    tensorflow()
    import keras

    images = keras.Input((5, 7, 3))
    model = keras.Model(images, keras.ops.einsum("...x,...y->...xy", images, images))
    assert complexity(model)["macs"] == 5 * 7 * 3 * 3
