"""Bilinear resampling of a batch of images: each pixel of the result is interpolated at a position of the input.

Outside the image, its edge pixels are repeated. Images are uint8 (N, H, W, C), positions float32 (N, 2, H, W): x, y.
"""

from components.system.tensorflow import Tensor, tensorflow

Shape = tuple[int, int, int]


def project(images: Tensor, matrices: Tensor, shape: Shape) -> Tensor:
    """The images transformed by *matrices*, float32 (N, 2, 3): TensorFlow's operation, at half the cost of `sample`."""
    tf = tensorflow()
    count = tf.shape(images)[0]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.concat([tf.reshape(matrices, [count, 6]), tf.zeros([count, 2])], axis=1),
        output_shape=shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def positions(matrices: Tensor, shape: Shape) -> Tensor:
    """Where *matrices*, float32 (N, 2, 3), sample each pixel."""
    tf = tensorflow()
    height, width, _ = shape
    x, y = tf.meshgrid(tf.range(width, dtype=tf.float32), tf.range(height, dtype=tf.float32))
    grid = tf.reshape(tf.stack([x, y, tf.ones_like(x)]), [3, height * width])
    return tf.reshape(tf.matmul(matrices, grid), [-1, 2, height, width])


def sample(images: Tensor, positions: Tensor, shape: Shape) -> Tensor:
    """The images sampled at *positions*, rounded to the nearest integer."""
    tf = tensorflow()
    height, width, channels = shape
    x, y = (tf.clip_by_value(positions[:, i], 0, side - 1) for i, side in enumerate((width, height)))
    left, top = tf.floor(x), tf.floor(y)
    across, down = (x - left)[..., None], (y - top)[..., None]
    left, top = tf.cast(left, tf.int32), tf.cast(top, tf.int32)
    right, below = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
    first = tf.range(tf.shape(images)[0])[:, None, None] * height
    pixels = tf.cast(tf.reshape(images, [-1, channels]), tf.float32)

    def row(number: Tensor) -> Tensor:
        start = (first + number) * width
        near, far = tf.gather(pixels, start + left), tf.gather(pixels, start + right)
        return near + (far - near) * across

    upper, lower = row(top), row(below)
    return tf.cast(upper + (lower - upper) * down + 0.5, tf.uint8)
