"""Small 3x3 convolutions stacked on large images, as in VGG (arXiv:1409.1556), batch-normalised: the most accurate."""

from components.models.blocks import Step, closed
from components.models.config import Knobs

UNUSED = ("depth",)
ROOM = 24  # the least side of which the convolutions without padding leave a pixel


def vgg(knobs: Knobs) -> list[Step]:
    """Two convolutions of 32 and 48 channels, pooled, three of 64, 64 and 96, pooled, and one of 128.

    What `cnn_bn` saves by pooling at once, this one spends: two convolutions see the images at their full size. Images
    too small for convolutions that lose their edges are padded.
    """
    from keras import layers

    knobs.expect(4)
    padding = "valid" if min(knobs.shape[:2]) >= ROOM else "same"
    return [
        *closed(knobs.channels(32), "block1a", padding),
        *closed(knobs.channels(48), "block1b", padding, pool=True),
        *closed(knobs.channels(64), "block2a", padding),
        *closed(knobs.channels(64), "block2b", "same"),
        *closed(knobs.channels(96), "block2c", padding, pool=True),
        layers.Dropout(knobs.dropout, name="dropout2"),
        *closed(knobs.channels(128), "head", padding),
        layers.GlobalMaxPooling2D(name="strongest"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]
