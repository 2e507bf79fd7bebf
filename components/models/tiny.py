"""At most 10,000 parameters, for a microcontroller."""

from components.models.knobs import Knobs
from components.models.steps import Step, conv

UNUSED = ("depth",)


def tiny(knobs: Knobs) -> list[Step]:
    """3x3 convolutions, 16, 24 and 24 wide, with pooling between them, then the average of each channel."""
    from keras import layers

    narrow, wide = knobs.channels(16), knobs.channels(24)
    return [
        *conv(narrow, "block1"),
        layers.MaxPooling2D(name="pool1"),
        *conv(wide, "block2"),
        layers.MaxPooling2D(name="pool2"),
        *conv(wide, "block3"),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dropout(knobs.dropout, name="dropout"),
        layers.Dense(knobs.classes, name="logits"),
    ]
