"""Images on disk: what is written, in whatever blocks, is read again."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import splits
from components.data.splits import Split, SplitWriter

SHAPE = (3, 2, 1)


def random_images(count: int, seed: int = 0) -> tuple[splits.Images, splits.Labels]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8), rng.integers(0, 10, count)


def written(folder: Path, blocks: list[int], per_shard: int) -> tuple[Split, splits.Images, splits.Labels]:
    images, labels = random_images(sum(blocks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splits, "SHARD_BYTES", per_shard * 6)
        with SplitWriter(folder, SHAPE) as out:
            for end, size in zip(np.cumsum(blocks).tolist(), blocks, strict=True):
                out.add(images[end - size : end], labels[end - size : end])
    return Split(folder), images, labels


def test_block_sizes_do_not_change_the_bytes(tmp_path: Path) -> None:
    """The same images written in other blocks give the same files."""
    written(tmp_path / "new" / "one", [20], 8)
    written(tmp_path / "many", [3, 0, 9, 1, 7], 8)
    names = sorted(path.name for path in (tmp_path / "new" / "one").iterdir())
    assert names == ["images-00000.npy", "images-00001.npy", "images-00002.npy", "labels.npy"]
    for name in names:
        assert (tmp_path / "new" / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16])
def test_the_files_are_those_of_numpy(count: int, tmp_path: Path) -> None:
    """Whole shards, the last one, and that of a split without images; the blocks need not be contiguous."""
    _, images, labels = written(tmp_path / "split", [count], 8)
    expected = [images[start : start + 8] for start in range(0, max(count, 1), 8)]
    for number, shard in enumerate(expected):
        np.save(tmp_path / "expected.npy", shard)
        assert (tmp_path / "split" / f"images-{number:05}.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    assert len(list((tmp_path / "split").glob("images-*.npy"))) == len(expected)
    with SplitWriter(tmp_path / "reversed", SHAPE) as out:
        out.add(images[::-1, ::-1], labels)
    assert np.array_equal(Split(tmp_path / "reversed").images(), images[::-1, ::-1])


def test_a_split_that_fails_closes_its_file(tmp_path: Path) -> None:
    """The failure is that of the images, not one of closing; a warning of an open file would be an error."""
    out = SplitWriter(tmp_path / "split", SHAPE)

    def fail() -> None:
        with out:
            out.add(*random_images(2))
            raise RuntimeError("no more images")

    with pytest.raises(RuntimeError, match="no more images"):
        fail()
    assert out._file is None
    assert not (tmp_path / "split" / "labels.npy").exists()


def test_blocks_are_copies(tmp_path: Path) -> None:
    """Changing a block changes neither the file nor the next reading."""
    split, images, _ = written(tmp_path / "split", [5], 3)
    for block, _ in split.blocks():
        block[:] = 0
    assert np.array_equal(split.images(), images)


def test_the_writer_copies_its_blocks(tmp_path: Path) -> None:
    """A buffer that is reused after `add` is written as it was."""
    images, labels = random_images(4)
    buffer = images.copy()
    with SplitWriter(tmp_path / "split", SHAPE) as out:
        out.add(buffer, labels)
        buffer[:] = 0
    assert np.array_equal(Split(tmp_path / "split").images(), images)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 3, 3, 1), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((2, 3, 1, 1), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((2, *SHAPE), np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, *SHAPE), np.bool_), np.zeros(2, np.int64)),
        (np.zeros((2, *SHAPE), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((2, *SHAPE), np.uint8), np.zeros(1, np.int64)),
    ],
)
def test_images_that_do_not_fit_are_refused(tmp_path: Path, images: splits.Images, labels: splits.Labels) -> None:
    """Images of another shape or type, or without a label each, are refused, and no split is written."""
    with pytest.raises(ValueError, match="expected uint8"), SplitWriter(tmp_path / "split", SHAPE) as out:
        out.add(images, labels)
    assert not (tmp_path / "split" / "labels.npy").exists()


def test_taking_images_opens_each_shard_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has images of many shards, and the next one of the same."""
    split, images, _ = written(tmp_path / "split", [12], per_shard=3)
    opened: list[int] = []
    original = Split._open

    def recorded(self: Split, shard: int) -> splits.Images:
        opened.append(shard)
        return original(self, shard)

    monkeypatch.setattr(Split, "_open", recorded)
    for indices in (np.array([11, 0, 5]), np.array([1, 4, 10, 7])):
        np.testing.assert_array_equal(split.take(indices), images[indices])
    assert sorted(opened) == [0, 1, 2, 3]


def test_maps_are_closed_once_enough_was_taken_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read from an open map counts as memory of the process: here two images of six bytes."""
    split, images, _ = written(tmp_path / "split", [3], per_shard=3)
    monkeypatch.setattr(splits, "MAPPED_BYTES", 12)
    maps = []
    for _ in range(4):
        np.testing.assert_array_equal(split.take(np.array([1])), images[[1]])
        maps.append(split._kept_open(0))
    assert [maps[0] is other for other in maps] == [True, True, False, False]
    assert maps[2] is maps[3]


def test_an_image_larger_than_a_shard_has_one_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "SHARD_BYTES", 1)
    images, labels = random_images(2)
    with SplitWriter(tmp_path / "split", SHAPE) as out:
        out.add(images, labels)
    assert len([*(tmp_path / "split").glob("images-*.npy")]) == 2
    assert np.array_equal(Split(tmp_path / "split").images(), images)


def test_reading_shows_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In images, through all shards."""
    shown: list[int] = []

    @contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
        assert (label, total) == ("reading", 8)
        yield shown.append

    monkeypatch.setattr(splits, "progress", progress)
    split, *_ = written(tmp_path / "split", [8], per_shard=5)
    assert [len(block) for block, _ in split.blocks(2, "reading")] == [2, 2, 1, 2, 1]
    assert shown == [2, 4, 5, 7, 8]


def test_labels_are_numbers_and_no_program(tmp_path: Path) -> None:
    """An array of Python objects runs whatever it holds when it is read."""
    written(tmp_path / "split", [2], per_shard=5)
    np.save(tmp_path / "split" / "labels.npy", np.array([{}, None], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Split(tmp_path / "split")


def test_the_sizes_of_files_and_chunks_are_part_of_what_is_written_and_of_the_memory() -> None:
    """Another size of the shards moves the bytes of every artifact with images."""
    assert (splits.SHARD_BYTES, splits.MAPPED_BYTES, splits.CHUNK_BYTES) == (33_554_432, 16_777_216, 33_554_432)


@pytest.mark.parametrize(
    ("shape", "most", "sizes"),
    [
        ((28, 28, 1), 4, [4, 4, 2]),
        ((1024, 1024, 1), 100, [8, 2]),  # 32 MB of float32
        ((4096, 4096, 1), 100, [1] * 10),  # one alone is more
    ],
)
def test_chunks_are_bounded_in_number_and_in_bytes(shape: tuple[int, ...], most: int, sizes: list[int]) -> None:
    """All indices, each once and in order."""
    parts = list(splits.chunks(np.arange(10), shape, most))
    assert [len(part) for part in parts] == sizes
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(10))


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(st.integers(0, 9), max_size=6),
    per_shard=st.integers(1, 7),
    size=st.integers(1, 8),
    data=st.data(),
)
def test_any_blocks_are_read_as_written(blocks: list[int], per_shard: int, size: int, data: st.DataObject) -> None:
    """Images and labels written in blocks and shards of any size are read unchanged, in every way of reading."""
    with tempfile.TemporaryDirectory() as folder:
        split, images, labels = written(Path(folder, "split"), blocks, per_shard)
        read = list(split.blocks(size))
        assert all(0 < len(block) <= size for block, _ in read)
        assert np.array_equal(np.concatenate([images[:0], *(block for block, _ in read)]), images)
        assert np.array_equal(np.concatenate([labels[:0], *(of for _, of in read)]), labels)
        assert np.array_equal(split.images(), images)
        assert len(split) == len(images)
        assert split.shape == SHAPE
        indices = np.array(
            data.draw(st.lists(st.integers(0, max(0, len(images) - 1)))) if len(images) else [], np.int64
        )
        assert np.array_equal(split.take(indices), images[indices])
        shards = [len(np.load(path)) for path in sorted(Path(folder, "split").glob("images-*.npy"))]
        assert all(count == per_shard for count in shards[:-1])
        assert shards[-1] <= per_shard
