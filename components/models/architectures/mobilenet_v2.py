"""MobileNetV2 (arXiv:1801.04381) from keras.applications, narrow, untrained, for small images."""

from components.models.backbones import backbone
from components.models.blocks import Block
from components.models.config import ModelConfig
from components.system.tensorflow import KerasModel, Tensor

UNUSED = ("depth",)
PRECISION = "float32"  # its depthwise convolutions: an epoch in bfloat16 takes 1.6 times as long (AVX-512)
ALPHA = 0.35  # its narrowest published width


def mobilenet_v2(config: ModelConfig) -> list[Block]:
    """The network without its head, on images enlarged by a whole factor; the width multiplies its alpha of 0.35.

    422,730 parameters and 3,957,936 multiply-accumulates on MNIST.
    """
    import keras

    def network(images: Tensor) -> KerasModel:
        alpha = ALPHA * config.width
        return keras.applications.MobileNetV2(alpha=alpha, include_top=False, weights=None, input_tensor=images)

    return backbone(config, network)
