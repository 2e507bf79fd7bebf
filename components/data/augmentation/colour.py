"""Augmentation of light and colour, as in keras.layers.Random* (Keras 3.15).

    invert      255 - x for a share of the images: a negative, dark on light for light on dark (RandomInvert)
    contrast    (x - mean) * factor + mean, with the mean of each channel of the image (RandomContrast)
    brightness  x + share * 255 (RandomBrightness)
    saturation  factor on the S of HSV (RandomSaturation)
    hue         offset of the H of HSV, which is a circle (RandomHue)

Keras' layers draw from a state of their own, where augmentation here depends on its seed alone, so the arithmetic is
Keras' and the random numbers are not. Two strengths are defined otherwise: hue=0.5 is Keras' 1, half of the circle, and
saturation=0.2 is a factor of 0.8 to 1.2, as contrast=0.2 is. Values are limited to 0..255 once, after contrast and
brightness. Going to HSV and back takes half of the time here that it takes tf.image's operations.
"""

from components.settings.augmentation import COLOUR_ONLY
from components.system.tensorflow import Tensor, tensorflow

LIGHT = ("contrast", "brightness")
KINDS = (*LIGHT, *COLOUR_ONLY)
INVERT = "invert"


def adjust(images: Tensor, amounts: dict[str, Tensor]) -> Tensor:
    """*images*, uint8 (N, H, W, C), by *amounts*: float32 (N,) for each of KINDS and INVERT that is wanted.

    An amount is what is added to a factor of 1 (contrast, saturation), a share of 255 (brightness), a share of the
    circle of colours (hue), or 1 where the image is inverted; 0 changes nothing.
    """
    tf = tensorflow()
    if INVERT in amounts:
        images = tf.where(_each_image(amounts[INVERT]) > 0, 255 - images, images)
    if amounts.keys() == {INVERT}:
        return images
    pixels = tf.cast(images, tf.float32)
    if light := {kind: amounts[kind] for kind in LIGHT if kind in amounts}:
        pixels = _adjust_light(pixels, light)
    if colour := {kind: amounts[kind] for kind in COLOUR_ONLY if kind in amounts}:
        pixels = _adjust_colour(pixels, colour)
    return tf.cast(pixels + 0.5, tf.uint8)


def _adjust_light(pixels: Tensor, amounts: dict[str, Tensor]) -> Tensor:
    """Contrast and brightness: one factor for each image, and one offset for each of its channels."""
    tf = tensorflow()
    offset = 255 * _each_image(amounts["brightness"]) if "brightness" in amounts else 0.0
    if "contrast" in amounts:
        amount = _each_image(amounts["contrast"])
        offset -= tf.tile(amount * _means(pixels), [1, 1, tf.shape(pixels)[2], 1])  # tiled: broadcasting is slow
        pixels *= 1 + amount
    return tf.clip_by_value(pixels + offset, 0, 255)


def _means(pixels: Tensor) -> Tensor:
    """The mean of each channel of each image, (N, 1, 1, C), for *pixels* that are whole numbers.

    Sums of them are exact, of a row in float32 and of an image in float64, so they do not depend on the order in which
    a batch, or a part of one, is summed.
    """
    tf = tensorflow()
    rows = tf.cast(tf.reduce_sum(pixels, axis=2, keepdims=True), tf.float64)
    total = tf.reduce_sum(rows, axis=1, keepdims=True)
    return tf.cast(total / tf.cast(tf.reduce_prod(tf.shape(pixels)[1:3]), tf.float64), tf.float32)


def _adjust_colour(pixels: Tensor, amounts: dict[str, Tensor]) -> Tensor:
    """Saturation and hue, from the value and the chroma (saturation * value) of each pixel.

    The formulas: https://en.wikipedia.org/wiki/HSL_and_HSV, "from RGB" and "HSV to RGB alternative".
    """
    tf = tensorflow()
    red, green, blue = tf.unstack(pixels, axis=-1)
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    difference = tf.where(red == value, green - blue, tf.where(green == value, blue - red, red - green))
    sextant = tf.where(red == value, 0.0, tf.where(green == value, 2.0, 4.0))
    hue = sextant + tf.math.divide_no_nan(difference, chroma)
    if "hue" in amounts:
        hue += 6 * _each_image(amounts["hue"])[..., 0]
    hue = tf.math.floormod(hue, 6)
    if "saturation" in amounts:
        chroma = tf.minimum(chroma * (1 + _each_image(amounts["saturation"])[..., 0]), value)
    shares = (tf.abs(hue - 3) - 1, 2 - tf.abs(hue - 2), 2 - tf.abs(hue - 4))
    return tf.stack([value - chroma + chroma * tf.clip_by_value(share, 0, 1) for share in shares], axis=-1)


def _each_image(amounts: Tensor) -> Tensor:
    return amounts[:, None, None, None]
