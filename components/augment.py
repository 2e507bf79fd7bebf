"""Augmentation: each image turned, moved and scaled a little, in one affine step, anew in every epoch."""

import math
from collections.abc import Callable
from typing import Any

from components.backend import tensorflow
from components.params import Train

Augmenter = Callable[[Any, Any], Any]


def augmenter(shape: tuple[int, int, int], params: Train) -> Augmenter | None:
    """A function (images, seed) -> images, uint8 (N, H, W, C) both; None where all three amounts are zero.

    *seed* is two integers, and all that the result depends on. What moves in from outside repeats the edge, which suits
    dark and bright backgrounds alike.
    """
    if not (params.rotate or params.shift or params.zoom):
        return None
    tf = tensorflow()
    height, width, _ = shape
    limits = tf.constant([math.radians(params.rotate), params.zoom, params.shift * width, params.shift * height])

    def augment(images: Any, seed: Any) -> Any:
        draws = tf.random.stateless_uniform([tf.shape(images)[0], 4], seed, -1, 1) * limits
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=_transforms(tf, draws, (width - 1) / 2, (height - 1) / 2),
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )

    return augment


def _transforms(tf: Any, draws: Any, x: float, y: float) -> Any:
    """Rows of eight numbers, as the op wants them: turn and scale about the centre (*x*, *y*), then move."""
    angle, zoom, right, down = tf.unstack(draws, axis=1)
    cos, sin = tf.cos(angle) * (1 + zoom), tf.sin(angle) * (1 + zoom)
    zero = tf.zeros_like(angle)
    across = [cos, -sin, x - x * cos + y * sin + right]
    along = [sin, cos, y - x * sin - y * cos + down]
    return tf.stack([*across, *along, zero, zero], axis=1)
