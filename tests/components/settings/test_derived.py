"""What follows from the images where no setting says otherwise."""

from typing import Any

import pytest

from components.settings.augmentation import strengths
from components.settings.derived import TrainingImages, image_shape, plan, training
from components.settings.sections import Train

SOME = TrainingImages(1_000, 1, 0.5)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({(28, 28): 70_000}, (28, 28)),
        ({(64, 64): 2_000}, (64, 64)),
        ({(70, 70): 2_000}, (70, 70)),
        ({(100, 100): 2_000}, (64, 64)),
        ({(100, 100): 2_061, (3024, 3024): 1}, (64, 64)),
        ({(375, 500): 20_000}, (55, 74)),
        ({(375, 500): 500, (500, 375): 500, (400, 400): 1}, (64, 64)),
        ({(20, 20): 10, (30, 30): 20, (40, 40): 10}, (30, 30)),
        ({(10, 1000): 100}, (32, 128)),
        ({(1, 1): 5}, (1, 1)),
    ],
)
def test_the_size_to_decode_to_follows_from_the_images(
    sizes: dict[tuple[int, int], int], expected: tuple[int, int]
) -> None:
    """Small images of one size keep it; others get the median aspect ratio, and the area of 64 x 64 pixels or less."""
    assert image_shape(sizes) == expected


def test_the_size_does_not_depend_on_the_order_of_the_files() -> None:
    sizes = {(100, 200): 3, (300, 100): 3, (50, 60): 1}
    assert image_shape(sizes) == image_shape(dict(reversed(sizes.items())))


@pytest.mark.parametrize(
    ("images", "batch_size", "epochs"),
    [(30, 16, 150), (230, 16, 84), (1_530, 32, 19), (7_000, 32, 6), (20_000, 64, 6), (54_000, 128, 6)],
)
def test_a_training_gets_a_number_of_steps(images: int, batch_size: int, epochs: int) -> None:
    """Nine hundred, or twelve hundred small ones; six epochs where there are many images."""
    chosen = training(Train(), TrainingImages(images, 1, 0.5))
    assert (chosen.batch_size, chosen.epochs, chosen.schedule) == (batch_size, epochs, "onecycle")
    assert chosen.max_cycles > 1
    assert chosen.learning_rate > 0
    assert chosen.patience >= chosen.epochs  # a schedule that ends is not stopped on its way
    assert "flip" not in chosen.augment  # a mirrored 2 is none


@pytest.mark.parametrize(
    ("channels", "colour_skill", "standardize", "kinds"),
    [
        (3, 0.02, "image", {"invert", "contrast", "brightness", "hue"}),
        (1, -0.05, "image", {"invert", "contrast", "brightness"}),
        (3, 0.1, "training", set()),
        (1, 0.6, "training", set()),
    ],
)
def test_colours_are_varied_where_they_say_nothing_about_the_class(
    channels: int, colour_skill: float, standardize: str, kinds: set[str]
) -> None:
    """There each image is standardized by itself; where colours help to tell the classes, they are left as they are."""
    chosen = training(Train(), TrainingImages(1_000, channels, colour_skill))
    assert chosen.standardize == standardize
    assert strengths(chosen.augment).keys() == {"rotate", "shift", "zoom"} | kinds


def test_what_depends_on_unread_pixels_is_left_open() -> None:
    """From headers alone the number of epochs follows, the treatment of colours does not."""
    chosen = training(Train(), TrainingImages(1_000, 3, None))
    assert (chosen.epochs, chosen.augment, chosen.standardize) == (29, "auto", "auto")


def test_what_a_user_sets_is_kept() -> None:
    """Each setting by itself; the others are derived with it."""
    chosen: dict[str, Any] = {"epochs": 3, "batch_size": 50, "learning_rate": 0.1, "schedule": "plateau", "patience": 2}
    params = training(Train(**chosen, augment="none"), SOME)
    assert {name: getattr(params, name) for name in chosen} == chosen
    assert (params.augment, params.max_cycles) == ("", 1)  # epochs that are set are not exceeded
    assert training(Train(optimizer="sgd"), SOME).learning_rate > training(Train(), SOME).learning_rate
    assert training(Train(warmup=1), SOME).schedule == "cosine"


def test_deriving_twice_changes_nothing() -> None:
    once = training(Train(), SOME)
    assert training(once, TrainingImages(9_999, 3, 0.0)) == once


def test_the_plan_is_a_sentence() -> None:
    sentence = plan(training(Train(), TrainingImages(1_660, 3, 0.0)), 1_660, (48, 64, 3))
    assert sentence == (
        "1,660 training images of 64x48x3: batches of 32, 18 epochs, 936 steps, and up to 2 times as many while "
        "that helps"
    )
