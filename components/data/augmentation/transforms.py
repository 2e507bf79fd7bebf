"""Augmentation: each training image is randomly transformed in every epoch.

`train.augment` names the kinds and their strengths (components.settings.augmentation). Each image draws its own
amounts, uniformly from minus to plus the strength, and all kinds that move pixels are one step, so an image is
interpolated once. Edge pixels are repeated outside the image, which suits dark and bright backgrounds alike. Then light
and colour change, and a rectangle is erased last.

For 128 images of 28x28, all kinds that move or erase take 9 ms of one core, and rotate, shift and zoom 3 ms; Keras'
layers, 61 and 6 ms. Contrast and brightness take 1 ms; for 32 colour images of 64x64, 2 ms, and with saturation and hue
8 ms.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from components.data.augmentation import colour, warping
from components.settings.augmentation import strengths, without_effect
from components.system.tensorflow import Tensor, tensorflow

Augmenter = Callable[..., Tensor]
Shape = tuple[int, int, int]
Place = tuple[Tensor, Tensor]  # of images that are part of a batch: the index of the first, and the size of the batch

FLIPS = ("flip_horizontal", "flip_vertical")
MOVING = ("rotate", "shift", "zoom", "shear", "elastic", *FLIPS)
SIDE = 28  # pixels of the image that the strength of elastic refers to
CELLS = 4  # of elastic's grid along a side
ASPECT = 1 / 0.3  # maximum aspect ratio of an erased rectangle: arXiv:1708.04896, section 4.1


def augmenter(shape: Shape, text: str) -> Augmenter | None:
    """A function (images, seed, place=None) -> images, uint8 (N, H, W, C) both; None where *text* names no kind.

    *shape* is (H, W, C), *text* the value of `train.augment`. The result depends on the images and on *seed*, two
    integers, alone. Images at a *place* in a batch are transformed as they are in the whole batch.
    """
    unused = without_effect(text, shape[-1])
    kinds = {name: strength for name, strength in strengths(text).items() if name not in unused}
    moving = {name: kinds[name] for name in MOVING if name in kinds}
    colours = {name: kinds[name] for name in (colour.INVERT, *colour.KINDS) if name in kinds}

    def augment(images: Tensor, seed: Tensor, place: Place | None = None) -> Tensor:
        if moving:
            images = _move(images, seed, shape, moving, place)
        if colours:
            images = _recolour(images, seed, colours, place)
        return erase(images, seed, shape, kinds["erase"], place) if "erase" in kinds else images

    return augment if kinds else None


def _move(images: Tensor, seed: Tensor, shape: Shape, kinds: dict[str, float], place: Place | None) -> Tensor:
    """Every kind that moves pixels, in one interpolation."""
    count = tensorflow().shape(images)[0]
    matrices = affine(count, seed, shape, kinds, place)
    if "elastic" not in kinds:
        return warping.project(images, matrices, shape)
    field = elastic(count, seed, shape, kinds["elastic"], place)
    return warping.sample(images, warping.positions(matrices, shape) + field, shape)


def _recolour(images: Tensor, seed: Tensor, kinds: dict[str, float], place: Place | None) -> Tensor:
    """Every kind that changes light or colour; each has random numbers that do not depend on which others there are."""
    tf = tensorflow()
    draws = _draw(tf.shape(images)[0], [len(colour.KINDS)], tf.random.fold_in(seed, 4), place)
    draws_of = dict(zip(colour.KINDS, tf.unstack(draws, axis=1), strict=True))
    amounts = {name: kinds[name] * draw for name, draw in draws_of.items() if name in kinds}
    if colour.INVERT in kinds:
        amounts[colour.INVERT] = _chosen(
            tf.shape(images)[0], tf.random.fold_in(seed, 5), [kinds[colour.INVERT]], place
        )[:, 0]
    return colour.adjust(images, amounts)


def _draw(count: Tensor, inner: list[int], seed: Tensor, place: Place | None) -> Tensor:
    """Random numbers from -1 to 1, (count, *inner), for the images at *place*: part of one draw for the whole batch."""
    first, total = place or (0, count)
    return tensorflow().random.stateless_uniform([total, *inner], seed, -1, 1)[first : first + count]


def affine(count: Tensor, seed: Tensor, shape: Shape, kinds: dict[str, float], place: Place | None = None) -> Tensor:
    """float32 (count, 2, 3): maps a pixel (x, y, 1) of the augmented image to its position in the original.

    rotate  about the centre, by degrees
    shear   horizontally, by degrees, like the slant of handwriting
    zoom    about the centre, by a share of the size
    shift   by a share of the side, in both directions
    flip_*  mirror that share of the images

    The transformations of LeCun et al. 1998 (http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf, section III-C).
    """
    tf = tensorflow()
    turn, lean, zoom, right, down = tf.unstack(_draw(count, [5], seed, place), axis=1)
    height, width, _ = shape
    angle, slope = (math.radians(kinds.get(name, 0)) * draw for name, draw in (("rotate", turn), ("shear", lean)))
    scale, share = 1 + kinds.get("zoom", 0) * zoom, kinds.get("shift", 0)
    cos, sin, tan = scale * tf.cos(angle), scale * tf.sin(angle), tf.tan(slope)
    linear = tf.stack([tf.stack([cos, cos * tan - sin], 1), tf.stack([sin, sin * tan + cos], 1)], 1)
    if any(name in kinds for name in FLIPS):
        linear *= _mirror_signs(count, seed, kinds, place)
    centre = tf.constant([(width - 1) / 2, (height - 1) / 2])
    shift = tf.stack([share * width * right, share * height * down], 1)
    return tf.concat([linear, (centre - tf.linalg.matvec(linear, centre) + shift)[..., None]], 2)


def _mirror_signs(count: Tensor, seed: Tensor, kinds: dict[str, float], place: Place | None) -> Tensor:
    """float32 (count, 1, 2): -1 for the x or the y of images that are mirrored, else 1."""
    shares = [kinds.get(name, 0.0) for name in FLIPS]
    return 1 - 2 * _chosen(count, tensorflow().random.fold_in(seed, 3), shares, place)[:, None, :]


def _chosen(count: Tensor, seed: Tensor, shares: list[float], place: Place | None) -> Tensor:
    """float32 (count, len(shares)): 1 for that share of the images, else 0."""
    tf = tensorflow()
    draws = _draw(count, [len(shares)], seed, place)
    return tf.where((draws + 1) / 2 < tf.constant(shares), 1.0, 0.0)


def elastic(count: Tensor, seed: Tensor, shape: Shape, strength: float, place: Place | None = None) -> Tensor:
    """float32 (count, 2, H, W): horizontal and vertical displacement of each pixel, a smooth random field.

    As in Simard et al. 2003 (https://doi.org/10.1109/ICDAR.2003.1227801). Theirs is noise blurred by a Gaussian of
    4 pixels in 28; here noise seven pixels apart is interpolated by cubic B-splines, bells with a standard deviation of
    7 / sqrt(3) = 4.04 pixels, at the cost of two small matrix products. *strength* is the standard deviation of the
    field in pixels of an image of 28x28, so it scales with the side; theirs was 1.4.
    """
    tf = tensorflow()
    height, width, _ = shape
    noise = _draw(count, [2, CELLS + 3, CELLS + 3], tf.random.fold_in(seed, 1), place)
    sides = tf.constant([width, height], tf.float32, [2, 1, 1])
    down, across = (tf.constant(_splines(side)) for side in (height, width))
    return tf.matmul(tf.matmul(down, noise * sides * (math.sqrt(3) * strength / SIDE)), across, transpose_b=True)


def _splines(side: int) -> NDArray[np.float32]:
    """(side, CELLS + 3): weight of each grid point at each pixel; the squares sum to 1, which keeps the variance."""
    at = (np.arange(side) + 0.5) * CELLS / side
    distance = np.abs(at[:, None] - np.arange(-1, CELLS + 2))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    weights = np.where(distance < 1, inner, np.maximum(2 - distance, 0) ** 3 / 6)
    scaled: NDArray[np.float32] = (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def erase(images: Tensor, seed: Tensor, shape: Shape, strength: float, place: Place | None = None) -> Tensor:
    """Noise in a rectangle of about half of the images, of at most *strength* of their area.

    Random erasing, Zhong et al., arXiv:1708.04896: at any position, with independent noise for each pixel.
    """
    tf = tensorflow()
    height, width, channels = shape
    count, seed = tf.shape(images)[0], tf.random.fold_in(seed, 2)
    size, form, top, left = tf.unstack(_draw(count, [4], seed, place), axis=1)
    area, aspect = strength * tf.maximum(size, 0), tf.exp(math.log(ASPECT) * form)
    rows = _interval(height, tf.sqrt(area * aspect), top)
    columns = _interval(width, tf.sqrt(area / aspect), left)
    inside = (rows[:, :, None] & columns[:, None, :])[..., None]
    first, total = place or (0, count)
    noise = _noise([total, height, width, channels], seed)[first : first + count]
    return tf.where(inside, noise, images)


def _noise(shape: Tensor, seed: Tensor) -> Tensor:
    """uint8 of *shape*, uniform over 0..255; each random 32-bit number makes four pixels."""
    tf = tensorflow()
    pixels = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(pixels + 3) // 4], seed, None, None, tf.uint32)
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:pixels], shape)


def _interval(side: int, share: Tensor, position: Tensor) -> Tensor:
    """bool (N, side): whole pixels, at most *share* of the side, at *position* (-1: the first ones, 1: the last)."""
    tf = tensorflow()
    length = tf.floor(side * tf.minimum(share, 1))
    distance = tf.range(side, dtype=tf.float32) - tf.floor((side - length + 1) * (position + 1) / 2)[:, None]
    return (distance >= 0) & (distance < length[:, None])
