"""At most 10,000 parameters, for a microcontroller."""

from components.models.blocks import Step, closed
from components.models.config import Knobs

UNUSED = ("depth",)
ROOM = 22  # the least side of which the convolutions leave a pixel


def tiny(knobs: Knobs) -> list[Step]:
    """A 5x5 convolution of 12 channels, pooled, four 3x3 of 16, then the strongest answer of each channel.

    Depth pays more than width where parameters are few. Images too small for convolutions that lose their edges are
    padded.
    """
    from keras import layers

    padding = "valid" if min(knobs.shape[:2]) >= ROOM else "same"
    wide = knobs.channels(16)
    return [
        *closed(knobs.channels(12), "block1", padding, size=5, pool=True),
        *(step for i in range(2, 6) for step in closed(wide, f"block{i}", padding)),
        layers.GlobalMaxPooling2D(name="strongest"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]
