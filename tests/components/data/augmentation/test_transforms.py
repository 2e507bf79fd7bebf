"""Augmentation: each kind changes what it should and nothing else, as a pure function of images and seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.data.augmentation import colour, warping
from components.data.augmentation.transforms import affine, augmenter, elastic
from components.settings.augmentation import COLOUR_ONLY, KINDS
from components.system.tensorflow import tensorflow

ALL = ",".join(KINDS)
COUNT = 64
EXAMPLES = settings(max_examples=10, deadline=None, derandomize=True)
COLUMNS, ROWS = np.meshgrid(np.arange(28), np.arange(28))


def seed(step: int) -> NDArray[np.int64]:
    return np.array([0, step], np.int64)


def augmented(images: NDArray[np.uint8], text: str, step: int = 1) -> NDArray[np.uint8]:
    augment = augmenter(images.shape[1:], text)
    assert augment
    out: NDArray[np.uint8] = augment(images, seed(step)).numpy()
    return out


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def blob(x: float = 13.5, y: float = 13.5, wide: float = 3, high: float = 3) -> NDArray[np.uint8]:
    """COUNT images 28x28 of one soft bright spot on black, centred at (x, y)."""
    spot = 255 * np.exp(-(((COLUMNS - x) / wide) ** 2 + ((ROWS - y) / high) ** 2) / 2)
    return np.repeat(spot.astype(np.uint8)[None, ..., None], COUNT, axis=0)


def centre_of_mass(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The centre of mass (x, y) of each image."""
    mass = images[..., 0].astype(np.float64)
    total = mass.sum(axis=(1, 2))
    return np.stack([(mass * at).sum(axis=(1, 2)) / total for at in (COLUMNS, ROWS)], axis=1)


def moments(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The covariance matrix of each image's mass: (N, 2, 2), x first."""
    mass = images[..., 0] / images[..., 0].sum(axis=(1, 2), keepdims=True)
    far = [at - centre_of_mass(images)[:, i, None, None] for i, at in enumerate((COLUMNS, ROWS))]
    return np.array([[(mass * a * b).sum(axis=(1, 2)) for a in far] for b in far]).transpose(2, 0, 1)


def directions(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The angle in degrees, -90 to 90, of the long axis of each image."""
    (xx, xy), (_, yy) = np.moveaxis(moments(images), 0, -1)
    angles: NDArray[np.float64] = np.degrees(np.arctan2(2 * xy, xx - yy) / 2)
    return angles


# --- all kinds


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (text, shape)
        for text in [*KINDS, ALL]
        for shape in [(5, 28, 28, 1), (3, 9, 14, 3), (2, 33, 8, 1)]
        if not (text in COLOUR_ONLY and shape[-1] == 1)
    ],
)
def test_every_shape_is_kept_and_its_pixels_change(text: str, shape: tuple[int, int, int, int]) -> None:
    """The result is uint8 of the same shape with other pixels; the input is unchanged."""
    images = noise(*shape)
    before = images.copy()
    out = augmented(images, text)
    assert out.shape == shape
    assert out.dtype == np.uint8
    assert (out != images).any()
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("text", [*KINDS, ALL])
def test_the_seed_determines_the_result(text: str) -> None:
    """The same seed gives the same bytes, another step others; images of one batch differ from one another."""
    images = np.repeat(noise(1, 28, 28, 3), COUNT, axis=0)
    first, same, other = (augmented(images, text, step) for step in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert len(np.unique(first, axis=0)) > (1 if text.startswith(("flip", "invert")) else COUNT / 3)


@pytest.mark.parametrize("text", [*KINDS, ALL])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(text: str, channels: int) -> None:
    """What a worker computes does not depend on how the batch was divided."""
    images = noise(13, 20, 30, channels)
    if augment := augmenter(images.shape[1:], text):
        parts = [augment(images[i : i + 5], seed(1), (i, 13)).numpy() for i in (0, 5, 10)]
        np.testing.assert_array_equal(np.concatenate(parts), augment(images, seed(1)).numpy())


def test_an_image_of_one_colour_stays_the_same() -> None:
    """Edge pixels are repeated outside the image: a bright image gets no dark corner."""
    images = np.full((COUNT, 20, 30, 3), 200, np.uint8)
    np.testing.assert_array_equal(augmented(images, "rotate=45,shift=0.3,zoom=0.5,shear=30,elastic=3"), images)


def test_without_a_kind_there_is_no_augmenter() -> None:
    """No text, or strengths of 0, cost nothing."""
    assert augmenter((8, 8, 1), "") is augmenter((8, 8, 1), "rotate=0,erase=0") is None


def test_colour_does_not_apply_to_grey_images() -> None:
    """Saturation and hue alone cost nothing there; beside other kinds they change nothing."""
    assert augmenter((8, 8, 1), "saturation,hue") is None
    images = noise(COUNT, 8, 8, 1)
    np.testing.assert_array_equal(augmented(images, "contrast,saturation,hue"), augmented(images, "contrast"))


# --- each kind


def test_no_strength_is_the_identity_in_both_ways_of_sampling() -> None:
    """Every pixel stays where it was, exactly."""
    images, shape = noise(4, 9, 14, 3), (9, 14, 3)
    matrices = affine(4, seed(1), shape, {})
    np.testing.assert_array_equal(warping.project(images, matrices, shape), images)
    np.testing.assert_array_equal(warping.sample(images, warping.positions(matrices, shape), shape), images)


def test_both_ways_of_sampling_agree() -> None:
    """`sample` differs from TensorFlow's operation only by its rounding: by one grey level."""
    images, shape = noise(16, 9, 14, 3), (9, 14, 3)
    matrices = affine(16, seed(1), shape, {"rotate": 40, "zoom": 0.3, "shear": 20, "shift": 0.2})
    projected = warping.project(images, matrices, shape).numpy().astype(int)
    sampled = warping.sample(images, warping.positions(matrices, shape), shape).numpy().astype(int)
    assert np.abs(projected - sampled).max() <= 1


def test_values_between_pixels_are_interpolated_and_rounded() -> None:
    """Of 10 and 13 side by side: 10.3, 10.6, 13 at the edge and 13 beyond it."""
    images = np.array([10, 13, 10, 13], np.uint8).reshape(1, 2, 2, 1)
    positions = np.array([[[0.1, 0.2], [1, 7]], [[0, 0.4], [1, 7]]], np.float32)[None]
    assert warping.sample(images, positions, (2, 2, 1)).numpy().ravel().tolist() == [10, 11, 13, 13]


@EXAMPLES
@given(st.floats(0.02, 0.25), st.integers(0, 10**9))
def test_a_shift_moves_the_centre_by_at_most_its_share_of_the_side(share: float, step: int) -> None:
    """Along both axes and in both directions."""
    far = centre_of_mass(augmented(blob(), f"shift={share}", step)) - 13.5
    assert np.abs(far).max() <= 28 * share + 0.1
    assert (far.min(axis=0) < -28 * share / 2).all()
    assert (far.max(axis=0) > 28 * share / 2).all()


@EXAMPLES
@given(st.floats(2, 60), st.integers(0, 10**9))
def test_a_rotation_is_about_the_centre_by_at_most_its_angle(degrees: float, step: int) -> None:
    """In both directions; the centre stays."""
    out = augmented(blob(wide=5, high=1.5), f"rotate={degrees}", step)
    turned = directions(out)
    assert np.abs(turned).max() <= degrees + 0.5
    assert turned.min() < -degrees / 2
    assert turned.max() > degrees / 2
    np.testing.assert_allclose(centre_of_mass(out), 13.5, atol=0.15)


@EXAMPLES
@given(st.floats(0.05, 0.4), st.integers(0, 10**9))
def test_a_zoom_changes_the_size_by_at_most_its_share(share: float, step: int) -> None:
    """Smaller and larger, equally along both axes; the centre stays."""
    out = augmented(blob(wide=2.5, high=2.5), f"zoom={share}", step)
    sizes = np.sqrt(np.diagonal(moments(out), axis1=1, axis2=2)) / 2.5
    assert sizes.min() >= 1 / (1 + share) - 0.04
    assert sizes.max() <= 1 / (1 - share) + 0.04
    assert sizes.min() < 1 < sizes.max()
    np.testing.assert_allclose(centre_of_mass(out), 13.5, atol=0.15)


@EXAMPLES
@given(st.floats(3, 40), st.integers(0, 10**9))
def test_a_shear_slants_by_at_most_its_angle_and_keeps_rows(degrees: float, step: int) -> None:
    """Each row moves horizontally as a whole."""
    out = augmented(blob(wide=1.5, high=4), f"shear={degrees}", step)
    (_, xy), (_, yy) = np.moveaxis(moments(out), 0, -1)
    leans = np.degrees(np.arctan(xy / yy))
    assert np.abs(leans).max() <= degrees + 0.7
    assert leans.min() < -degrees / 2
    assert leans.max() > degrees / 2
    np.testing.assert_allclose(yy, moments(blob(wide=1.5, high=4))[:, 1, 1], rtol=0.05)


def test_elastic_has_its_strength_and_is_smooth() -> None:
    """Its standard deviation is the strength, in pixels at 28x28, everywhere; neighbours move almost equally."""
    for shape in ((28, 28, 1), (56, 14, 3)):
        field = elastic(4000, seed(1), shape, 1.5).numpy() * np.array([28 / shape[1], 28 / shape[0]])[:, None, None]
        np.testing.assert_allclose(field.std(axis=0), 1.5, rtol=0.08)
        np.testing.assert_allclose(field.mean(axis=0), 0, atol=0.15)
    field = elastic(200, seed(1), (28, 28, 1), 1.0).numpy()
    steps = [np.diff(field, axis=axis) for axis in (2, 3)]
    assert max(np.abs(step).max() for step in steps) < 1  # no tears or folds
    assert abs(np.corrcoef(field[:, 0].ravel(), field[:, 1].ravel())[0, 1]) < 0.05


def test_elastic_keeps_the_ink() -> None:
    """A spot is deformed, not lost: its mass changes by little, and on average by nothing."""
    before = blob(wide=3, high=3)[0].sum()
    ink = augmented(blob(wide=3, high=3), "elastic=1").sum(axis=(1, 2, 3)) / before
    assert ink.min() > 0.6
    assert ink.max() < 1.6
    assert abs(ink.mean() - 1) < 0.08


@EXAMPLES
@given(st.floats(0.02, 0.9), st.integers(0, 10**9))
def test_erasing_hides_one_rectangle_of_at_most_its_area_in_half_of_the_images(share: float, step: int) -> None:
    """Noise inside it; outside it, and in the other images, nothing changes."""
    dark, pale = (augmented(np.full((256, 20, 30, 3), grey, np.uint8), f"erase={share}", step) for grey in (7, 8))
    hidden = (dark == pale).all(axis=3)  # noise does not depend on the pixels that it replaces
    assert (dark[~hidden] == 7).all()
    assert 0.25 < hidden.any(axis=(1, 2)).mean() < 0.65
    assert hidden.mean(axis=(1, 2)).max() <= share
    rows, columns = hidden.any(axis=2), hidden.any(axis=1)
    np.testing.assert_array_equal(hidden, rows[:, :, None] & columns[:, None, :])
    for line in (rows, columns):  # one interval each: it begins at most once
        assert np.diff(line, axis=1, prepend=False).sum(axis=1).max() <= 2


def test_erasing_reaches_every_pixel_and_fills_with_every_grey() -> None:
    """Corners too; the noise is uniform over 0..255."""
    out = augmented(np.full((2000, 12, 12, 1), 7, np.uint8), "erase=0.4")
    hidden = out[..., 0] != 7
    assert hidden.mean(axis=0).min() > 0.005
    assert abs(out[..., 0][hidden].mean() - 127.5) < 2


def test_erasing_does_not_change_the_other_kinds() -> None:
    """Erasing has its own random numbers: outside the rectangle, the image is the one that was only moved."""
    images = noise(COUNT, 28, 28, 1)
    moved, both = augmented(images, "rotate,shift,elastic"), augmented(images, "rotate,shift,elastic,erase=0.1")
    assert (moved == both).mean() > 0.9


@EXAMPLES
@given(st.floats(0.05, 0.5), st.integers(0, 10**9))
def test_a_flip_mirrors_its_share_of_the_images_exactly(share: float, step: int) -> None:
    """Each direction on its own: every image is the original or its mirror image, pixel for pixel."""
    images = noise(1, 9, 14, 3)
    batch = np.repeat(images, 1000, axis=0)
    for text, axis in ((f"flip_horizontal={share}", 2), (f"flip_vertical={share}", 1)):
        out = augmented(batch, text, step)
        same, mirrored = ((out == form).all(axis=(1, 2, 3)) for form in (images, np.flip(images, axis)))
        assert (same ^ mirrored).all()
        assert abs(mirrored.mean() - share) < 0.06
    both = augmented(batch, "flip_horizontal,flip_vertical", step)
    forms = [images, np.flip(images, 1), np.flip(images, 2), np.flip(images, (1, 2))]
    shares = [(both == form).all(axis=(1, 2, 3)).mean() for form in forms]
    assert sum(shares) == 1
    assert min(shares) > 0.19


def test_a_flip_does_not_change_the_other_kinds() -> None:
    """It has its own random numbers: images that are not mirrored are moved as they are without it."""
    images = noise(COUNT, 12, 12, 1)
    moved, both = augmented(images, "rotate,shift"), augmented(images, "rotate,shift,flip_vertical=0.25")
    assert (moved == both).all(axis=(1, 2, 3)).mean() > 0.5


@EXAMPLES
@given(st.floats(0.05, 0.5), st.integers(0, 10**9))
def test_invert_makes_a_negative_of_its_share_of_the_images(share: float, step: int) -> None:
    """Every image is the original or its negative, pixel for pixel, and the other kinds draw what they draw without."""
    images = noise(1, 9, 14, 3)
    out = augmented(np.repeat(images, 1000, axis=0), f"invert={share}", step)
    same, negative = ((out == form).all(axis=(1, 2, 3)) for form in (images, 255 - images))
    assert (same ^ negative).all()
    assert abs(negative.mean() - share) < 0.06


def test_invert_does_not_change_the_other_kinds() -> None:
    """It has its own random numbers: images that are not inverted get the contrast that they get without it."""
    images = noise(COUNT, 12, 12, 3)
    adjusted, both = augmented(images, "contrast,hue"), augmented(images, "contrast,hue,invert=0.25")
    assert (adjusted == both).all(axis=(1, 2, 3)).mean() > 0.5


AMOUNTS = np.linspace(-0.5, 0.5, COUNT, dtype=np.float32)


def recoloured(images: NDArray[np.uint8], **amounts: NDArray[np.float32]) -> NDArray[np.int64]:
    out: NDArray[np.int64] = colour.adjust(images, amounts).numpy().astype(np.int64)
    return out


@pytest.mark.parametrize(
    ("kind", "layer", "transformation"),
    [
        ("brightness", "RandomBrightness", {"rgb_delta": 255 * AMOUNTS[:, None, None, None]}),
        ("contrast", "RandomContrast", {"contrast_factor": 1 + AMOUNTS[:, None, None, None]}),
        ("saturation", "RandomSaturation", {"factor": 1 + AMOUNTS}),
        ("hue", "RandomHue", {"factor": AMOUNTS}),
    ],
)
def test_light_and_colour_have_the_arithmetic_of_keras(
    kind: str, layer: str, transformation: dict[str, NDArray[np.float32]]
) -> None:
    """The same amounts give the same pixels, to the rounding; an amount of 0 leaves every pixel as it is."""
    import keras

    images = noise(COUNT, 9, 14, 3)
    images[:, 0], images[:, 1], images[:, 2] = 0, 255, images[:, 2, :, :1]  # black, white and grey too
    unit = layer == "RandomSaturation"
    made = getattr(keras.layers, layer)(0.5, value_range=(0, 1) if unit else (0, 255))
    pixels = images.astype(np.float32) / (255 if unit else 1)
    expected = np.asarray(made.transform_images(pixels, transformation)) * (255 if unit else 1)
    assert np.abs(recoloured(images, **{kind: AMOUNTS}) - expected).max() <= 0.502
    np.testing.assert_array_equal(recoloured(images, **{kind: np.zeros(COUNT, np.float32)}), images)


@EXAMPLES
@given(st.floats(0.05, 0.4), st.integers(0, 10**9))
def test_brightness_is_drawn_up_to_its_strength_in_both_directions(share: float, step: int) -> None:
    """The same for every pixel of an image."""
    change = augmented(np.full((256, 4, 5, 3), 128, np.uint8), f"brightness={share}", step).astype(int) - 128
    assert (change == change[:, :1, :1, :1]).all()
    assert np.abs(change).max() <= 255 * share + 1
    assert change.min() < -255 * share * 0.9
    assert change.max() > 255 * share * 0.9


def test_hue_turns_the_circle_of_colours() -> None:
    """A third of the circle takes red to green, green to blue and blue to red, and leaves grey alone."""
    images = np.array([[255, 0, 0], [0, 200, 0], [0, 0, 9], [77, 77, 77]], np.uint8).reshape(1, 2, 2, 3)
    turned = recoloured(images, hue=np.array([1 / 3], np.float32)).reshape(4, 3).tolist()
    assert turned == [[0, 255, 0], [0, 0, 200], [9, 0, 0], [77, 77, 77]]


def test_the_draws_of_light_and_colour_do_not_depend_on_each_other() -> None:
    """Brightness alone changes an image as it does beside a contrast and colours that have no effect."""
    images = np.full((COUNT, 4, 4, 3), 100, np.uint8)
    np.testing.assert_array_equal(augmented(images, "brightness"), augmented(images, "brightness,contrast,hue"))


def test_it_runs_in_a_graph_for_batches_of_any_size() -> None:
    """Inside tf.data, where the batch size is unknown and there are no eager tensors."""
    tf = tensorflow()
    augment = augmenter((28, 28, 1), ALL)
    assert augment
    images = noise(50, 28, 28, 1)
    batches = tf.data.Dataset.from_tensor_slices(images).batch(32).map(lambda batch: augment(batch, seed(1)))
    first, last = list(batches)
    assert (first.shape, last.shape) == ((32, 28, 28, 1), (18, 28, 28, 1))
    np.testing.assert_array_equal(first, augmented(images[:32], ALL))
