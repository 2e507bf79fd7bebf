"""Augmentation: each image a little different in every epoch, so that the network learns what a class has in common.

`train.augment` names the kinds and their strengths (components.settings.augmentation). Each image draws its own
amounts, evenly
from minus to plus the strength, and all kinds that move pixels are one step, so an image is interpolated once. What
moves in from outside repeats the edge, which suits dark and bright backgrounds alike.

For 128 images of 28x28, all kinds take 7 ms of one core, without elastic 4 ms; Keras' own layers for the same, 140 ms.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.data.augmentation import warping
from components.settings.augmentation import strengths
from components.system.tensorflow import tensorflow

Augmenter = Callable[..., Any]
Shape = tuple[int, int, int]
Place = tuple[Any, Any]  # of images that are a part of a batch: the number of the first, and of all

MOVING = ("rotate", "shift", "zoom", "shear", "elastic")
SIDE = 28  # pixels of the image that the strength of elastic is written for
CELLS = 4  # of elastic's grid along a side
ASPECT = 1 / 0.3  # an erased rectangle's longer side to its shorter one, at most: arXiv:1708.04896, section 4.1


def augmenter(shape: Shape, text: str) -> Augmenter | None:
    """A function (images, seed, place=None) -> images, uint8 (N, H, W, C) both; None where *text* asks for none.

    *shape* is (H, W, C), *text* what `train.augment` says. *seed* is two integers, and all that the result depends on
    beside the images. Images that are a part of a batch, and are told which, come out as they do in the whole of it.
    """
    kinds = strengths(text)
    moving = {name: kinds[name] for name in MOVING if name in kinds}

    def augment(images: Any, seed: Any, place: Place | None = None) -> Any:
        if moving:
            images = _move(images, seed, shape, moving, place)
        return erase(images, seed, shape, kinds["erase"], place) if "erase" in kinds else images

    return augment if kinds else None


def _move(images: Any, seed: Any, shape: Shape, kinds: dict[str, float], place: Place | None) -> Any:
    """Every kind that moves pixels, in one interpolation."""
    count = tensorflow().shape(images)[0]
    matrices = affine(count, seed, shape, kinds, place)
    if "elastic" not in kinds:
        return warping.project(images, matrices, shape)
    field = elastic(count, seed, shape, kinds["elastic"], place)
    return warping.sample(images, warping.places(matrices, shape) + field, shape)


def _draw(count: Any, inner: list[int], seed: Any, place: Place | None) -> Any:
    """Numbers from -1 to 1, (count, *inner): those of the *count* images at *place*, out of one draw for the batch."""
    first, total = place or (0, count)
    return tensorflow().random.stateless_uniform([total, *inner], seed, -1, 1)[first : first + count]


def affine(count: Any, seed: Any, shape: Shape, kinds: dict[str, float], place: Place | None = None) -> Any:
    """float32 (count, 2, 3): where in the image the pixel (x, y, 1) of the augmented one comes from.

    rotate  about the centre, by degrees: writing leans, and cameras tilt
    shear   sideways, by degrees, so that uprights lean and lines stay level: the slant of a hand
    zoom    about the centre, by a share of the size: near and far, small hands and large
    shift   by a share of the side, both ways: what is not centred

    The kinds of LeCun et al. 1998 (http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf, section III-C).
    """
    tf = tensorflow()
    turn, lean, zoom, right, down = tf.unstack(_draw(count, [5], seed, place), axis=1)
    height, width, _ = shape
    angle, slope = (math.radians(kinds.get(name, 0)) * draw for name, draw in (("rotate", turn), ("shear", lean)))
    scale, share = 1 + kinds.get("zoom", 0) * zoom, kinds.get("shift", 0)
    cos, sin, tan = scale * tf.cos(angle), scale * tf.sin(angle), tf.tan(slope)
    linear = tf.stack([tf.stack([cos, cos * tan - sin], 1), tf.stack([sin, sin * tan + cos], 1)], 1)
    centre = tf.constant([(width - 1) / 2, (height - 1) / 2])
    shift = tf.stack([share * width * right, share * height * down], 1)
    return tf.concat([linear, (centre - tf.linalg.matvec(linear, centre) + shift)[..., None]], 2)


def elastic(count: Any, seed: Any, shape: Shape, strength: float, place: Place | None = None) -> Any:
    """float32 (count, 2, H, W): how far right and down of its place each pixel comes from; another hand's tremble.

    A smooth random field, as in Simard et al. 2003 (https://doi.org/10.1109/ICDAR.2003.1227801). Theirs is noise
    blurred by a Gaussian of 4 pixels in 28; here noise seven pixels apart is blended by cubic B-splines, bells of a
    standard deviation of 7 / sqrt(3) = 4.04 pixels, at the price of two small products of matrices. *strength* is the
    field's standard deviation in pixels of an image of 28x28, so it is a share of the side; theirs was 1.4.
    """
    tf = tensorflow()
    height, width, _ = shape
    noise = _draw(count, [2, CELLS + 3, CELLS + 3], tf.random.fold_in(seed, 1), place)
    sides = tf.constant([width, height], tf.float32, [2, 1, 1])
    down, across = (tf.constant(_splines(side)) for side in (height, width))
    return tf.matmul(tf.matmul(down, noise * sides * (math.sqrt(3) * strength / SIDE)), across, transpose_b=True)


def _splines(side: int) -> NDArray[np.float32]:
    """(side, CELLS + 3): how much each point of the grid counts at each pixel; squares sum to 1, as variances do."""
    at = (np.arange(side) + 0.5) * CELLS / side
    far = np.abs(at[:, None] - np.arange(-1, CELLS + 2))
    near = 2 / 3 - far**2 + far**3 / 2
    weights = np.where(far < 1, near, np.maximum(2 - far, 0) ** 3 / 6)
    scaled: NDArray[np.float32] = (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def erase(images: Any, seed: Any, shape: Shape, strength: float, place: Place | None = None) -> Any:
    """Noise in a rectangle of every second image, of at most *strength* of its area: what is hidden or damaged.

    Random erasing, Zhong et al., arXiv:1708.04896: half of the images, any place, noise by pixel.
    """
    tf = tensorflow()
    height, width, channels = shape
    count, mine = tf.shape(images)[0], tf.random.fold_in(seed, 2)
    size, form, top, left = tf.unstack(_draw(count, [4], mine, place), axis=1)
    area, aspect = strength * tf.maximum(size, 0), tf.exp(math.log(ASPECT) * form)
    rows = _stretch(height, tf.sqrt(area * aspect), top)
    columns = _stretch(width, tf.sqrt(area / aspect), left)
    inside = (rows[:, :, None] & columns[:, None, :])[..., None]
    first, total = place or (0, count)
    noise = _noise([total, height, width, channels], mine)[first : first + count]
    return tf.where(inside, noise, images)


def _noise(shape: Any, seed: Any) -> Any:
    """uint8 of *shape*, even over 0..255; each random number of 32 bits makes four pixels."""
    tf = tensorflow()
    pixels = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(pixels + 3) // 4], seed, None, None, tf.uint32)
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:pixels], shape)


def _stretch(side: int, share: Any, place: Any) -> Any:
    """bool (N, side): whole pixels, at most *share* of the side, at *place* (-1: the first ones, 1: the last)."""
    tf = tensorflow()
    length = tf.floor(side * tf.minimum(share, 1))
    distance = tf.range(side, dtype=tf.float32) - tf.floor((side - length + 1) * (place + 1) / 2)[:, None]
    return (distance >= 0) & (distance < length[:, None])
