"""Normalize: which images are held out or left out, and what the scaling is fitted on."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import splits
from components.data.pixels import hashes, histogram, moments
from components.data.splits import Images, Labels, Split, SplitWriter
from components.errors import DataRejected
from components.normalize.stage import DROPPED, TRAIN, VALIDATION, assign, normalize
from components.settings.sections import Normalize

Part = tuple[Images, Labels]


def random_images(count: int, classes: int = 3, shape: tuple[int, int, int] = (5, 4, 1), seed: int = 0) -> Part:
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, np.arange(count) % classes


def ingested(folder: Path, train: Part, test: Part, classes: int = 3) -> Path:
    shape = train[0].shape[1:]
    for name, (images, labels) in (("train", train), ("test", test)):
        with SplitWriter(folder / name, shape) as out:
            out.add(images, labels)
    source = {"source": "folder", "name": "things", "classes": [f"c{i}" for i in range(classes)], "shape": shape}
    (folder / "source.json").write_text(json.dumps(source), encoding="utf-8")
    return folder


def normalized(folder: Path, train: Part, test: Part, params: Normalize | None = None, classes: int = 3) -> Path:
    out = folder / "out"
    out.mkdir(parents=True)
    normalize(ingested(folder / "in", train, test, classes), out, params or Normalize())
    return out


def test_three_splits_are_written(tmp_path: Path) -> None:
    """Training and validation divide the training images between them; the test split is unchanged."""
    train, test = random_images(300), random_images(60, seed=1)
    out = normalized(tmp_path, train, test)
    parts = {name: Split(out / name) for name in ("train", "validation", "test")}
    data = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert data["images"] == {name: len(split) for name, split in parts.items()}
    assert len(parts["train"]) + len(parts["validation"]) == 300
    assert 15 <= len(parts["validation"]) <= 60
    assert (data["source"], data["name"], data["classes"]) == ("folder", "things", ["c0", "c1", "c2"])
    assert (data["shape"], data["duplicates_removed"]) == ([5, 4, 1], 0)
    assert np.array_equal(parts["test"].images(), test[0])
    assert np.array_equal(parts["test"].labels, test[1])
    divided = np.concatenate([hashes(parts[name].images()) for name in ("train", "validation")])
    assert sorted(divided) == sorted(hashes(train[0]))
    label_of = dict(zip(hashes(train[0]).tolist(), train[1].tolist(), strict=True))
    for name in ("train", "validation"):
        assert [label_of[key] for key in hashes(parts[name].images()).tolist()] == parts[name].labels.tolist()


def test_labels_are_integers(tmp_path: Path) -> None:
    """Labels are int64, whatever loss is used later."""
    out = normalized(tmp_path, random_images(60), random_images(9, seed=1))
    assert all(np.load(out / name / "labels.npy").dtype == np.int64 for name in ("train", "validation", "test"))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 60), min_size=1, max_size=5),
    share=st.floats(0.01, 0.5),
    seed=st.integers(0, 2**32),
)
def test_every_class_is_in_training_and_validation(sizes: list[int], share: float, seed: int) -> None:
    """Half to twice the requested share of each class is held out, at least one image and never all."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    names = [str(number) for number in range(len(sizes))]
    keys, params = np.arange(len(labels), dtype=np.uint64), Normalize(validation_share=share, seed=seed)
    assigned = assign(keys, np.empty(0, np.uint64), labels, names, params)
    for number, size in enumerate(sizes):
        held_out = int((assigned[labels == number] == VALIDATION).sum())
        assert 1 <= held_out < size
        assert int(share * size / 2) <= held_out <= max(1, 2 * share * size)


UNTESTED = range(13, 17)  # two of each class, the minimum for a split


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.integers(0, 12), max_size=76).flatmap(lambda kinds: st.permutations([*kinds, *UNTESTED])),
    tested=st.sets(st.integers(0, 12), max_size=4),
    seed=st.integers(0, 99),
)
def test_no_image_is_in_two_splits(kinds: list[int], tested: set[int], seed: int) -> None:
    """All copies of an image in the test split are left out; copies of any other image stay together."""
    keys = np.array(kinds, np.uint64)
    labels = keys.astype(np.int64) % 2
    assigned = assign(keys, np.array(sorted(tested), np.uint64), labels, ["even", "odd"], Normalize(seed=seed))
    for kind in set(kinds):
        (split,) = set(assigned[keys == kind].tolist())
        assert (split == DROPPED) == (kind in tested)
        assert split in (TRAIN, VALIDATION, DROPPED)


def test_test_images_are_removed_from_training(tmp_path: Path) -> None:
    """Training images that are test images too are left out and counted, even with another label."""
    train, test = random_images(90), random_images(30, seed=1)
    train[0][[4, 5, 40]] = test[0][[0, 9, 9]]
    out = normalized(tmp_path, train, test)
    kept = np.concatenate([hashes(Split(out / name).images()) for name in ("train", "validation")])
    assert json.loads((out / "data.json").read_text(encoding="utf-8"))["duplicates_removed"] == 3
    assert len(kept) == 87
    assert not np.isin(kept, hashes(test[0])).any()


def test_the_seed_chooses_the_validation_images(tmp_path: Path) -> None:
    """The same seed holds out the same images, another seed others, and each class at other positions."""
    keys, labels = np.arange(300, dtype=np.uint64), np.arange(300) % 3
    none, names = np.empty(0, np.uint64), ["a", "b", "c"]
    first, again, other = (assign(keys, none, labels, names, Normalize(seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[labels == 0], first[labels == 1])


def test_more_images_move_none_of_the_others() -> None:
    """Neither in their own class nor in another, wherever the new ones are inserted."""
    keys, none, names = np.arange(400, dtype=np.uint64) ** 3, np.empty(0, np.uint64), ["a", "b"]
    labels = np.arange(400) % 2
    after = assign(keys, none, labels, names, Normalize())
    there = np.random.default_rng(0).random(400) < 0.7
    before = assign(keys[there], none, labels[there], names, Normalize())
    assert np.array_equal(before, after[there])


def test_a_validation_split_of_the_source_is_used_as_it_is(tmp_path: Path) -> None:
    """But for images that are test images too; training images that are in it are left out, and none is drawn."""
    train, validation, test = (random_images(n, seed=seed) for seed, n in enumerate((90, 30, 30)))
    validation[0][4] = test[0][7]
    train[0][[5, 40]] = validation[0][[9, 9]]
    folder = ingested(tmp_path / "in", train, test)
    with SplitWriter(folder / "validation", train[0].shape[1:]) as out:
        out.add(*validation)
    (tmp_path / "out").mkdir()
    facts = normalize(folder, tmp_path / "out", Normalize())
    assert facts["images"] == {"train": 88, "validation": 29, "test": 30}
    assert facts["duplicates_removed"] == 3
    kept = [i for i in range(30) if i != 4]
    assert np.array_equal(Split(tmp_path / "out" / "validation").images(), validation[0][kept])
    assert np.array_equal(Split(tmp_path / "out" / "validation").labels, validation[1][kept])


def test_a_validation_split_that_is_the_test_split_is_refused(tmp_path: Path) -> None:
    """Nothing would be left of it."""
    train, test = random_images(90), random_images(30, seed=1)
    folder = ingested(tmp_path / "in", train, test)
    with SplitWriter(folder / "validation", train[0].shape[1:]) as out:
        out.add(*test)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataRejected, match="every validation image is in the test split too"):
        normalize(folder, tmp_path / "out", Normalize())


def test_scaling_is_fitted_on_training_alone(tmp_path: Path) -> None:
    """Mean and deviation are those of the training pixels, per channel, and of no other split."""
    train, test = random_images(200, shape=(6, 5, 3)), random_images(60, shape=(6, 5, 3), seed=1)
    train[0][..., 1] //= 3
    out = normalized(tmp_path, train, test)
    data, pixels = json.loads((out / "data.json").read_text(encoding="utf-8")), Split(out / "train").images() / 255
    assert data["mean"] == pytest.approx(pixels.mean((0, 1, 2)).tolist(), rel=1e-12)
    assert data["std"] == pytest.approx(pixels.std((0, 1, 2)).tolist(), rel=1e-12)


def test_the_deviation_of_a_constant_channel_is_1(tmp_path: Path) -> None:
    """So dividing by it is safe."""
    train, test = random_images(60, shape=(4, 4, 3)), random_images(9, shape=(4, 4, 3), seed=1)
    train[0][..., 2] = 51
    data = json.loads((normalized(tmp_path, train, test) / "data.json").read_text(encoding="utf-8"))
    assert (data["mean"][2], data["std"][2]) == (0.2, 1.0)
    assert data["std"][0] != 1.0


@pytest.mark.parametrize("left", [0, 1])
def test_a_class_with_too_few_images_is_refused(tmp_path: Path, left: int) -> None:
    """A class without an image for training and one for validation is refused by name."""
    images, labels = random_images(90)
    keep = (labels != 1) | (np.cumsum(labels == 1) <= left)
    with pytest.raises(DataRejected, match=rf"^class 'c1' has {left} distinct training images"):
        normalized(tmp_path, (images[keep], labels[keep]), random_images(30, seed=1))


def test_a_class_entirely_in_the_test_split_is_refused(tmp_path: Path) -> None:
    """A class whose training images are all test images has none left to train on, and is refused."""
    train = random_images(90)
    test = train[0][train[1] == 2], train[1][train[1] == 2]
    with pytest.raises(DataRejected, match="class 'c2' has 0"):
        normalized(tmp_path, train, test)


@pytest.mark.parametrize(("split", "label"), [("train", 3), ("test", -1)])
def test_a_label_outside_the_classes_is_refused(tmp_path: Path, split: str, label: int) -> None:
    """With its index, before training."""
    parts = {"train": random_images(90), "test": random_images(30, seed=1)}
    parts[split][1][7] = label
    with pytest.raises(DataRejected, match=f"^{split}: image 7 has the label {label}; expected 0 to 2"):
        normalized(tmp_path, parts["train"], parts["test"])


def test_shard_sizes_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scaling and the choice of images are the same for every shard size."""
    train, test = random_images(300), random_images(60, seed=1)
    whole = normalized(tmp_path / "whole", train, test)
    monkeypatch.setattr(splits, "SHARD_BYTES", 20 * 37)
    cut = normalized(tmp_path / "cut", train, test)
    assert len(list((cut / "train").glob("images-*.npy"))) == 8
    assert (whole / "data.json").read_bytes() == (cut / "data.json").read_bytes()
    for name in ("train", "validation", "test"):
        assert np.array_equal(Split(whole / name).images(), Split(cut / name).images())


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Every file is identical when another process with another hash seed writes it."""
    here = normalized(tmp_path, random_images(300), random_images(60, seed=1))
    there = tmp_path / "there"
    there.mkdir()
    code = (
        "import sys; from pathlib import Path; from components.normalize.stage import normalize;"
        "from components.settings.sections import Normalize;"
        "normalize(Path(sys.argv[1]), Path(sys.argv[2]), Normalize())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "in"), str(there)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[3])})
    files = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
    assert len(files) == 7
    assert all((here / file).read_bytes() == (there / file).read_bytes() for file in files)


def test_memory_does_not_grow_with_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight times the images need little more memory: one shard at a time, and some bytes per image."""
    monkeypatch.setattr(splits, "SHARD_BYTES", 2**19)
    peaks = []
    for times in (1, 8):
        parts = random_images(1500 * times, shape=(32, 32, 1)), random_images(600, shape=(32, 32, 1), seed=1)
        source = ingested(tmp_path / f"in{times}", *parts)
        del parts
        out = tmp_path / f"out{times}"
        out.mkdir()
        tracemalloc.start()
        normalize(source, out, Normalize())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 150 * 1500 * 7 < 1024 * 1500 * 7


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 5), st.integers(1, 7), st.integers(1, 7), st.sampled_from((1, 3))),
    seed=st.integers(0, 99),
    levels=st.sampled_from((1, 2, 256)),
)
def test_histogram_counts_every_pixel(shape: tuple[int, ...], seed: int, levels: int) -> None:
    """The histogram counts the pixels of each channel, odd numbers of them too, and gives NumPy's moments exactly."""
    images = np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8)
    counts = histogram(images)
    for channel in range(shape[-1]):
        values = images[..., channel].ravel()
        assert np.array_equal(counts[channel], np.bincount(values, minlength=256))
        computed = moments(counts[channel])
        assert (computed is None) == (values.size == 0)
        if computed:
            assert (computed.min, computed.max) == (values.min(), values.max())
            assert (computed.mean, computed.deviation) == pytest.approx(
                (values.mean(), values.std()), rel=1e-12, abs=1e-12
            )
