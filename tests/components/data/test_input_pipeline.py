"""The input pipeline: batches are a pure function of seed, epoch and step."""

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data import input_pipeline
from components.data.input_pipeline import InputPipeline, Share, shuffled
from components.data.splits import Split, SplitWriter
from components.settings.sections import Train

ALL = "rotate=20,shift=0.2,zoom,shear,elastic,flip_horizontal,flip_vertical"
ALL += ",invert,brightness,contrast,saturation,hue,erase"


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Fifty 8x8 images; every pixel of image i is i, and so is its label."""
    folder = tmp_path_factory.mktemp("split") / "train"
    with SplitWriter(folder, (8, 8, 1)) as out:
        out.add(np.broadcast_to(np.arange(50, dtype=np.uint8)[:, None, None, None], (50, 8, 8, 1)), np.arange(50))
    return Split(folder)


def epochs(split: Split, first: int, **settings: str | int) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    params = Train(**{"batch_size": 16, "epochs": 3, "augment": "none", **settings})  # type: ignore[arg-type]
    return [(x.numpy(), y.numpy()) for x, y in InputPipeline(split, 50, params).training(first)]


def test_the_batches_do_not_depend_on_how_many_are_made_at_once(split: Split) -> None:
    """Augmented, in their order."""
    one, three = (epochs(split, 0, augment=ALL, threads=count) for count in (1, 3))
    for (images, labels), (others, other_labels) in zip(one, three, strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


def test_each_epoch_has_every_image_once_in_another_order(split: Split) -> None:
    """Three epochs of four batches, the last of two images; no image is lost or repeated, and every order differs."""
    seen = epochs(split, 0)
    assert [len(labels) for _, labels in seen] == [16, 16, 16, 2] * 3
    orders = [np.concatenate([labels for _, labels in seen[i : i + 4]]) for i in (0, 4, 8)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    for images, labels in seen:
        assert images.shape == (len(labels), 8, 8, 1)
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_a_pipeline_started_at_a_later_epoch_has_the_same_batches(split: Split) -> None:
    """Order and augmentation of the third epoch do not depend on the first two."""
    whole, rest = epochs(split, 0, augment=ALL)[8:], epochs(split, 2, augment=ALL)
    assert len(rest) == 4
    for (images, labels), (same_images, same_labels) in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_the_order_follows_the_seed() -> None:
    """Another seed, another order; the same seed, the same."""
    first, same, other = (shuffled(50, seed, 0).numpy().tolist() for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_images_that_do_not_fit_into_memory_are_read_from_the_memory_maps(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches are the same."""
    expected = epochs(split, 0)
    monkeypatch.setattr(input_pipeline, "IN_MEMORY_BYTES", 100)
    for (images, labels), (same_images, same_labels) in zip(expected, epochs(split, 0), strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_measuring_sees_every_image_once_in_order(split: Split) -> None:
    """No shuffling, no augmentation, no dropped remainder."""
    labels = [y.numpy() for _, y in InputPipeline(split, 50, Train(augment=ALL)).measuring()]
    assert np.concatenate(labels).tolist() == list(range(50))


@pytest.mark.parametrize(("most", "expected"), [(10, [*range(0, 50, 5)]), (50, [*range(50)]), (99, [*range(50)])])
def test_measuring_a_part_spaces_it_evenly(split: Split, most: int, expected: list[int]) -> None:
    """Ten of fifty images are every fifth one; where there are no more than that, all of them."""
    labels = [y.numpy() for _, y in InputPipeline(split, 50, Train()).measuring(most)]
    assert np.concatenate(labels).tolist() == expected


def test_autotuning_is_off(split: Split) -> None:
    """There is no thread of tf.data's autotuning to wait for when a training ends."""
    pipeline = InputPipeline(split, 50, Train(batch_size=16, epochs=1, augment="none"))
    assert [data.options().autotune.enabled for data in (pipeline.training(0), pipeline.measuring())] == [False, False]


def test_labels_are_one_hot_only_where_smoothing_needs_them(split: Split) -> None:
    """Integers for the sparse loss, one-hot rows for the smoothed one."""
    [*_, (_, labels)] = InputPipeline(split, 50, Train(label_smoothing=0.1)).measuring()
    np.testing.assert_array_equal(labels.numpy(), np.eye(50, dtype=np.float32))


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_shares_of_the_workers_make_up_the_batch(split: Split, size: int) -> None:
    """In order, they are the batch of a single worker, augmented in the same way; where there are more workers than
    images in the last batch, each has all of it, with counts that add up to its images."""
    params = Train(batch_size=16, epochs=1, augment=ALL)
    whole = list(InputPipeline(split, 50, params).training(0))
    shares = [list(InputPipeline(split, 50, params, share=Share(k, size)).training(0)) for k in range(size)]
    for step, (images, labels) in enumerate(whole):
        parts = [share[step] for share in shares]
        few = len(labels) < size
        assert sum(float(counts.numpy().sum()) for *_, counts in parts) == pytest.approx(len(labels))
        for index, expected in ((0, images), (1, labels)):
            arrays = [part[index].numpy() for part in parts]
            np.testing.assert_array_equal(arrays[0] if few else np.concatenate(arrays), expected.numpy())


def test_the_shares_of_the_validation_split_make_it_up(split: Split) -> None:
    """Each image is measured by one worker."""
    pipelines = [InputPipeline(split, 50, Train(), share=Share(k, 3)) for k in range(3)]
    labels = [np.concatenate([y.numpy() for _, y in pipeline.measuring()]) for pipeline in pipelines]
    assert np.concatenate(labels).tolist() == list(range(50))
    assert [pipeline.measured for pipeline in pipelines] == [len(part) for part in labels]
