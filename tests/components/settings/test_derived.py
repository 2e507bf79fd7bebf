"""What follows from the images where no setting says otherwise."""

import pytest

from components.settings.derived import image_shape


@pytest.mark.parametrize(
    ("sizes", "images", "expected"),
    [
        ({(28, 28): 70_000}, 70_000, (28, 28)),
        ({(64, 64): 2_000}, 2_000, (64, 64)),
        ({(70, 70): 2_000}, 2_000, (70, 70)),
        ({(100, 100): 2_000}, 2_000, (64, 64)),
        ({(100, 100): 2_061, (3024, 3024): 1}, 2_062, (64, 64)),
        ({(375, 500): 20_000}, 20_000, (55, 74)),
        ({(375, 500): 500, (500, 375): 500, (400, 400): 1}, 1_001, (64, 64)),
        ({(20, 20): 10, (30, 30): 20, (40, 40): 10}, 40, (30, 30)),
        ({(10, 1000): 100}, 100, (32, 128)),
        ({(1, 1): 5}, 5, (1, 1)),
    ],
)
def test_the_size_to_decode_to_follows_from_the_images(
    sizes: dict[tuple[int, int], int], images: int, expected: tuple[int, int]
) -> None:
    """Small images of one size keep it; others get the median aspect ratio within the budget of pixels."""
    assert image_shape(sizes, images) == expected


def test_the_size_does_not_depend_on_the_order_of_the_files() -> None:
    sizes = {(100, 200): 3, (300, 100): 3, (50, 60): 1}
    assert image_shape(sizes, 7) == image_shape(dict(reversed(sizes.items())), 7)
