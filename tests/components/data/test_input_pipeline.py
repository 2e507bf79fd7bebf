"""Batches: a pure function of seed, epoch and step."""

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import input_pipeline
from components.data.input_pipeline import Feed, Share, shuffled
from components.data.splits import Split, SplitWriter
from components.settings.sections import Train

ALL = "rotate=20,shift=0.2,zoom,shear,elastic,erase"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Fifty 8x8 images; every pixel of image i is i, and so is its label."""
    folder = tmp_path_factory.mktemp("split") / "train"
    with SplitWriter(folder, (8, 8, 1)) as out:
        out.add(np.broadcast_to(np.arange(50, dtype=np.uint8)[:, None, None, None], (50, 8, 8, 1)), np.arange(50))
    return Split(folder)


def epochs(split: Split, first: int, **settings: str) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    params = Train(batch_size=16, epochs=3, **settings)  # type: ignore[arg-type]
    return [(x.numpy(), y.numpy()) for x, y in Feed(split, 50, params).training(first)]


def test_each_epoch_has_every_image_once_in_an_order_of_its_own(split: Split) -> None:
    """Three epochs of four batches, the last of two images; no image is lost or seen twice, no order repeated."""
    seen = epochs(split, 0)
    assert [len(labels) for _, labels in seen] == [16, 16, 16, 2] * 3
    orders = [np.concatenate([labels for _, labels in seen[i : i + 4]]) for i in (0, 4, 8)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    for images, labels in seen:
        assert images.shape == (len(labels), 8, 8, 1)
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_a_feed_begun_at_a_later_epoch_goes_on_with_the_very_batches(split: Split) -> None:
    """Order and augmentation of the third epoch do not depend on having gone through the first two."""
    whole, rest = epochs(split, 0, augment=ALL)[8:], epochs(split, 2, augment=ALL)
    assert len(rest) == 4
    for (images, labels), (same_images, same_labels) in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_the_order_follows_the_seed() -> None:
    """Another seed, another order; the same seed, the same."""
    one, same, other = (shuffled(50, seed, 0).numpy().tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_images_too_many_for_memory_come_from_the_memory_maps(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same batches, fetched in another way."""
    expected = epochs(split, 0)
    monkeypatch.setattr(input_pipeline, "IN_MEMORY_BYTES", 100)
    for (images, labels), (same_images, same_labels) in zip(expected, epochs(split, 0), strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_measuring_sees_every_image_once_in_order(split: Split) -> None:
    """No shuffling, no augmentation, no dropped remainder."""
    labels = [y.numpy() for _, y in Feed(split, 50, Train(augment=ALL)).measuring()]
    assert np.concatenate(labels).tolist() == list(range(50))


@pytest.mark.parametrize(("most", "expected"), [(10, [*range(0, 50, 5)]), (50, [*range(50)]), (99, [*range(50)])])
def test_measuring_a_part_takes_it_from_everywhere(split: Split, most: int, expected: list[int]) -> None:
    """Ten of fifty images are every fifth one; where there are no more than wanted, all of them."""
    labels = [y.numpy() for _, y in Feed(split, 50, Train()).measuring(most)]
    assert np.concatenate(labels).tolist() == expected


def test_nothing_is_tuned_while_a_training_reads(split: Split) -> None:
    """No thread of tf.data's autotuning is there to be waited for when a training ends."""
    feed = Feed(split, 50, Train())
    assert [data.options().autotune.enabled for data in (feed.training(0), feed.measuring())] == [False, False]


def test_labels_are_one_hot_only_where_smoothing_needs_them(split: Split) -> None:
    """Integers for the sparse loss, rows of one 1 for the smoothed one."""
    [*_, (_, labels)] = Feed(split, 50, Train(label_smoothing=0.1)).measuring()
    np.testing.assert_array_equal(labels.numpy(), np.eye(50, dtype=np.float32))


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_shares_of_the_workers_are_the_batch(split: Split, size: int) -> None:
    """Put together in order they are what one worker has, augmented in the same way; the last batch, of two images, is
    whole at each of more workers, every image standing for a part of one."""
    params = Train(batch_size=16, epochs=1, augment=ALL)
    whole = list(Feed(split, 50, params).training(0))
    shares = [list(Feed(split, 50, params, share=Share(k, size)).training(0)) for k in range(size)]
    for step, (images, labels) in enumerate(whole):
        mine = [share[step] for share in shares]
        few = len(labels) < size
        assert sum(float(counts.numpy().sum()) for *_, counts in mine) == pytest.approx(len(labels))
        for part, expected in ((0, images), (1, labels)):
            parts = [one[part].numpy() for one in mine]
            np.testing.assert_array_equal(parts[0] if few else np.concatenate(parts), expected.numpy())


def test_the_shares_of_the_validation_split_are_all_of_it(split: Split) -> None:
    """Each image is measured by one worker."""
    feeds = [Feed(split, 50, Train(), share=Share(k, 3)) for k in range(3)]
    labels = [np.concatenate([y.numpy() for _, y in feed.measuring()]) for feed in feeds]
    assert np.concatenate(labels).tolist() == list(range(50))
    assert [feed.measured for feed in feeds] == [len(found) for found in labels]
