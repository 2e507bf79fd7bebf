"""EfficientNetV2-B0 (arXiv:2104.00298) from keras.applications: for transfer learning."""

from pathlib import Path

from components.models.backbones import Preprocessing, backbone
from components.models.blocks import Block
from components.models.config import ModelConfig
from components.models.imagenet import ImagenetFile
from components.system.tensorflow import KerasModel, Tensor

UNUSED = ("width", "depth")
PRECISION = "float32"  # see mobilenet_v2
IMAGENET = ImagenetFile(
    "efficientnetv2-b0_notop.h5", "efficientnet_v2", size=24_274_472, md5="893217f2bb855e2983157299931e43ff"
)
PREPROCESSING = Preprocessing([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def efficientnet_v2_b0(config: ModelConfig) -> list[Block]:
    """The network without its head, on colour images of 48 pixels or more; smaller images are enlarged.

    5,932,122 parameters and 52,862,336 multiply-accumulates on MNIST.
    """
    return backbone(config, lambda images: _network(None, input_tensor=images), PREPROCESSING)


def imagenet(path: Path) -> KerasModel:
    return _network(str(path), input_shape=(224, 224, 3))


def _network(weights: str | None, **images: Tensor) -> KerasModel:
    import keras

    # its preprocessing is the layer of that name, which knows how the images were scaled before
    return keras.applications.EfficientNetV2B0(
        include_top=False, weights=weights, include_preprocessing=False, **images
    )
