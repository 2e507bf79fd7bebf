"""MobileNetV2 (arXiv:1801.04381) at its full width, as keras.applications has it: for transfer learning."""

from pathlib import Path

from components.models.backbones import Preprocessing, backbone
from components.models.blocks import Block
from components.models.config import ModelConfig
from components.models.imagenet import ImagenetFile
from components.system.tensorflow import KerasModel, Tensor

UNUSED = ("width", "depth")
PRECISION = "float32"  # see mobilenet_v2
IMAGENET = ImagenetFile(
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", "mobilenet_v2", size=9_406_464
)
PREPROCESSING = Preprocessing([0.5] * 3, [0.5] * 3)  # -1 to 1


def mobilenet_v2_backbone(config: ModelConfig) -> list[Block]:
    """The network without its head, on colour images of 48 pixels or more; smaller images are enlarged.

    2,270,794 parameters and 22,202,192 multiply-accumulates on MNIST.
    """
    return backbone(config, lambda images: _network(None, input_tensor=images), PREPROCESSING)


def imagenet(path: Path) -> KerasModel:
    return _network(str(path), input_shape=(224, 224, 3))


def _network(weights: str | None, **images: Tensor) -> KerasModel:
    import keras

    return keras.applications.MobileNetV2(include_top=False, weights=weights, **images)
