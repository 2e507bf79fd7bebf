"""The check of validate: which anomalies it reports, at which severity, in which words."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifact_files import Statistics
from components.data.splits import Images
from components.errors import DataRejected
from components.findings import errors, require, warnings
from components.settings.sections import Validate
from components.validate.check import REJECTION, check
from tests.support.ingested_images import Part, checked, ingested, random_images, statistics_of, validated
from tests.support.photographs import photographs, saved_again

ROOT = Path(__file__).parents[3]


def test_sound_images_have_no_anomaly(tmp_path: Path) -> None:
    """Sound images have no finding."""
    assert checked(tmp_path, random_images(300), random_images(60, seed=1)) == []


def test_real_digits_have_no_anomaly(tmp_path: Path) -> None:
    """The handwritten digits that come with scikit-learn have no finding."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    train, test = ((images[part], digits.target[part]) for part in (slice(300, None), slice(300)))
    source = ingested(tmp_path / "in", train, test, [str(name) for name in digits.target_names])
    assert check(validated(tmp_path, source), Validate(), None) == []


@pytest.mark.skipif("MNIST_DIR" not in os.environ, reason="needs MNIST's files")
def test_real_mnist_has_no_anomaly(tmp_path: Path) -> None:
    """MNIST has no finding, and its statistics are the published ones."""

    def idx(name: str, offset: int) -> Images:
        packed = Path(os.environ["MNIST_DIR"], name + ".gz")
        data = gzip.decompress(packed.read_bytes()) if packed.exists() else packed.with_suffix("").read_bytes()
        return np.frombuffer(data, np.uint8, offset=offset)

    train, test = (
        (idx(f"{of}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1), idx(f"{of}-labels-idx1-ubyte", 8).astype(np.int64))
        for of in ("train", "t10k")
    )
    out = validated(tmp_path, ingested(tmp_path / "in", train, test, [str(number) for number in range(10)]))
    assert check(out, Validate(), None) == []
    split = statistics_of(out)["splits"]["train"]
    assert split["histogram"] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert split["pixels"]
    assert (split["pixels"]["mean"] / 255, split["pixels"]["deviation"] / 255) == pytest.approx(
        (0.1307, 0.3081), abs=1e-4
    )


def test_a_class_that_a_drawn_split_lacks_needs_three_images(tmp_path: Path) -> None:
    """Two images of a class cannot be in three splits."""
    train, test = random_images(300), random_images(60, seed=1)
    missing_in_test(train, test)
    out = validated(tmp_path, ingested(tmp_path / "in", train, test))
    (error, *_) = errors(check(out, Validate(), None, {"share": 0.15}))
    assert error.endswith("classes: add images, 3 different ones at least, or leave the class out of the data")


def test_class_shares_are_no_warning_where_chance_drew_the_test_split(tmp_path: Path) -> None:
    """The user can do nothing about it; a split of their own is a warning."""
    train, test = random_images(300), random_images(60, seed=1)
    test[1][:20] = 0
    out = validated(tmp_path, ingested(tmp_path / "in", train, test))
    assert any("class shares off" in text for text in warnings(check(out, Validate(), None)))
    assert not any("class shares off" in text for text in warnings(check(out, Validate(), None, {"share": 0.15})))


@pytest.mark.parametrize(("scale", "expected"), [(1, "is 1 of 255; expected"), (15, "is 15 of 255;"), (99, "")])
def test_values_that_were_never_scaled_are_told(tmp_path: Path, scale: int, expected: str) -> None:
    """Arrays of 0 and 1, or of 4 bits, saved as 8-bit images."""
    train, test = random_images(300), random_images(60, seed=1)
    for images, _ in (train, test):
        images[...] = np.where(images > 127, scale, 0)
    found = [text for text in warnings(checked(tmp_path, train, test)) if "brightest" in text]
    assert len(found) == (2 if expected else 0)
    assert all(re.search(expected, text) for text in found)


def champion_statistics(folder: Path) -> Statistics:
    return statistics_of(validated(folder, ingested(folder / "in", random_images(300), random_images(90, seed=1))))


def outside(train: Part, test: Part) -> None:
    train[1][[5, 8]] = 3, -1


def missing_in_train(train: Part, test: Part) -> None:
    train[1][train[1] == 2] = 1


def missing_in_test(train: Part, test: Part) -> None:
    test[1][test[1] == 0] = 1


def one_class(train: Part, test: Part) -> None:
    train[1][:] = 1


def one_colour(train: Part, test: Part) -> None:
    train[0][[3, 4, 90, 200]] = np.array([0, 7, 255, 8]).reshape(-1, 1, 1, 1)
    train[0][210:216] = np.arange(6).reshape(-1, 1, 1, 1)


def few_constant(train: Part, test: Part) -> None:
    train[0][[3, 4, 90, 200]] = np.array([0, 7, 255, 8]).reshape(-1, 1, 1, 1)


def one_constant(train: Part, test: Part) -> None:
    test[0][2] = 9


def much_leakage(train: Part, test: Part) -> None:
    test[0][:2] = train[0][:2]


def little_leakage(train: Part, test: Part) -> None:
    test[0][50] = train[0][123]


def contradiction(train: Part, test: Part) -> None:
    train[0][10] = train[0][2]


def many_copies(train: Part, test: Part) -> None:
    train[0][30:60] = train[0][0:30]


def other_shares(train: Part, test: Part) -> None:
    test[1][:12] = 0


@pytest.mark.parametrize(
    ("damage", "severity", "text"),
    [
        (
            outside,
            "error",
            "train: 2 of 300 images (0.667 %; images 5, 8) with a label outside the classes (-1, 3); expected 0 to 2",
        ),
        (missing_in_train, "error", "train: no image of class 'c2'; expected images of each of the 3 classes"),
        (missing_in_test, "error", "test: no image of class 'c0'; expected images of each of the 3 classes"),
        (one_class, "error", "train: every image is of class 'c1'; expected at least two classes"),
        (
            one_colour,
            "error",
            "train: 10 of 300 images (3.333 %; images 3, 4, 90, 200, 210 and 5 more) of one colour; expected at",
        ),
        (few_constant, "warning", "train: 4 of 300 images (1.333 %; images 3, 4, 90, 200) of one colour; expected at "),
        (one_constant, "warning", "test: 1 of 90 images (1.111 %; image 2) of one colour; expected at most 2 %"),
        (
            much_leakage,
            "error",
            "test: 2 of 90 images (2.222 %; test = training image 0 = 0, 1 = 1) that are in the training",
        ),
        (
            little_leakage,
            "warning",
            "test: 1 of 90 images (1.111 %; test = training image 50 = 123) that are in the training",
        ),
        (
            contradiction,
            "warning",
            "train: 1 of 300 images (0.333 %; image 2 = 10) that repeat another under a different",
        ),
        (
            many_copies,
            "warning",
            "train: 30 of 300 images (10.000 %; images 0 = 30, 1 = 31, 2 = 32, 3 = 33, 4 = 34 and 25 more)",
        ),
        (other_shares, "warning", "test: class shares off those of training: 'c0' is 42.2 %, expected 28.3 to 38.3"),
    ],
)
def test_anomaly_is_reported_once(
    tmp_path: Path, damage: Callable[[Part, Part], None], severity: str, text: str
) -> None:
    """Each kind of damage is one finding, with split, value, images and expectation, at its severity."""
    train, test = random_images(300), random_images(90, seed=1)
    damage(train, test)
    bounds = Validate(max_constant_share=0.02) if damage is one_constant else Validate()
    matching = [finding for finding in checked(tmp_path, train, test, bounds) if finding.text.startswith(text)]
    assert [finding.severity for finding in matching] == [severity]


def test_error_rejects_and_warning_passes(tmp_path: Path) -> None:
    """An error rejects the data with its sentence; a warning does not."""
    train, test = random_images(300), random_images(90, seed=1)
    little_leakage(train, test)
    require(checked(tmp_path / "warned", train, test), REJECTION)
    outside(train, test)
    findings = checked(tmp_path / "rejected", train, test)
    assert (len(errors(findings)), len(warnings(findings))) == (1, 1)
    assert findings[0].severity == "error"
    with pytest.raises(DataRejected, match=r"^train: 2 of 300 images .*$"):
        require(findings, REJECTION)


def test_files_are_named_instead_of_indices(tmp_path: Path) -> None:
    """The first five files, where the source has files, and what becomes of the images."""
    train, test = random_images(300), random_images(90, seed=1)
    train[0][[3, 4]], test[0][50] = 7, train[0][123]
    source = ingested(tmp_path / "in", train, test)
    names = {"train": [f"cats/{i}.png" for i in range(300)], "test": [f"dogs/{i}.png" for i in range(90)]}
    (source / "files.json").write_text(json.dumps(names))
    found = [text.partition("images ")[2] for text in warnings(check(validated(tmp_path, source), Validate(), None))]
    assert found == [
        "(0.667 %; cats/3.png, cats/4.png) of one colour; expected at most 1 % (validate.max_constant_share); "
        "they stay in the data",
        "(0.333 %; cats/3.png = cats/4.png) that repeat an earlier one; copies stay together, in training or in "
        "validation",
        "(1.111 %; dogs/50.png = cats/123.png) that are in the training split too; expected at most 2 % "
        "(validate.max_duplicate_share), and normalize leaves them out of training",
    ]


def test_a_few_blank_images_in_a_small_split_are_no_error(tmp_path: Path) -> None:
    """Ten copies of one blank image fall into one split: of 2,000 images they are few, though not of its 300."""
    train, test = random_images(1700), random_images(300, seed=1)
    test[0][:10] = 0
    findings = checked(tmp_path, train, test)
    assert [finding.severity for finding in findings if "of one colour" in finding.text] == ["warning"]


def test_copies_across_a_split_that_was_drawn_are_no_error(tmp_path: Path) -> None:
    """The user has not drawn it, and normalize leaves the copies out of training."""
    train, test = random_images(300), random_images(90, seed=1)
    much_leakage(train, test)
    out = validated(tmp_path, ingested(tmp_path / "in", train, test))
    assert errors(check(out, Validate(), None))
    (finding,) = check(out, Validate(), None, {"share": 0.15})
    assert finding.severity == "warning"
    assert finding.text.endswith("that are in the training split too; normalize leaves them out of training")


def test_nearly_blank_images_and_near_duplicates_are_warnings(tmp_path: Path) -> None:
    """Photographs of 64 pixels and more: named within a split and across both."""
    images, labels = photographs(200), np.arange(200) % 3
    images[5] = np.random.default_rng(0).integers(90, 93, (64, 64, 3))
    images[7], images[170] = saved_again(images[2]), saved_again(images[3])
    findings = checked(tmp_path, (images[:150], labels[:150]), (images[150:], labels[150:]))
    assert {finding.severity for finding in findings} == {"warning"}
    assert [re.sub(r"below [\d.]+ of", "below X of", finding.text) for finding in findings] == [
        "train: 1 of 150 images (0.667 %; image 5) nearly blank (standard deviation below X of 255); they stay in the "
        "data",
        "train: 1 pair (images 2 = 7) that are nearly the same image; they stay, and may be in training and in "
        "validation",
        "test: 1 pair (images 20 = 3) of a test and a training image that are nearly the same; they stay in both, so "
        "the accuracy may be too high",
    ]


def test_too_few_images_are_an_error(tmp_path: Path) -> None:
    """A training split below validate.min_images and an empty test split are errors that name the number."""
    messages = errors(checked(tmp_path, random_images(30), random_images(0)))
    assert "train: 30 images; expected at least 100 (validate.min_images)" in messages
    assert "test: 0 images; expected at least 1 (validate.min_images)" in messages
    assert len(messages) == 2


def test_a_new_bound_needs_no_new_statistics(tmp_path: Path) -> None:
    """Bounds are applied to statistics.json alone: nothing else is read or measured again."""
    train, test = random_images(300), random_images(90, seed=1)
    much_leakage(train, test)
    out = validated(tmp_path, ingested(tmp_path / "in", train, test))
    shutil.rmtree(tmp_path / "in")
    shutil.rmtree(out / "pictures")
    assert errors(check(out, Validate(), None))
    assert not errors(check(out, Validate(max_duplicate_share=0.1), None))
    assert errors(check(out, Validate(max_duplicate_share=0.1, min_images=301), None))


def test_judging_loads_nothing_heavy(tmp_path: Path) -> None:
    """A check of a reused artifact loads neither NumPy nor Pillow, and msgspec only to read a pinned schema."""
    out = validated(tmp_path, ingested(tmp_path / "in", random_images(300), random_images(90, seed=1)))
    code = (
        "import sys; from pathlib import Path; from components.validate.check import check;"
        "from components.settings.sections import Validate; assert check(Path(sys.argv[1]), Validate(), None) == [];"
        "assert not {'numpy', 'PIL', 'matplotlib', 'msgspec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=True, cwd=ROOT)


def replace_array(folder: Path, file: str, array: Any) -> None:
    np.save(folder / file, array, allow_pickle=True)


def floats_with_nan(train: Path) -> None:
    images = np.zeros((300, 6, 5, 1), np.float32)
    images[[17, 40], 0, 0, 0] = np.nan
    replace_array(train, "images-00000.npy", images)


def truncated(train: Path) -> None:
    path = train / "images-00000.npy"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "texts"),
    [
        (
            floats_with_nan,
            [
                "train: 300 images, from image 0 on, of float32 and shape (6, 5, 1); expected uint8 and (6, 5, 1)",
                "train: 2 of 300 images (0.667 %; images 17, 40) with NaN values",
            ],
        ),
        (truncated, ["train: images-00000.npy is missing or not a complete .npy array"]),
        (lambda train: (train / "images-00000.npy").unlink(), ["train: images-00000.npy is missing"]),
        (lambda train: (train / "labels.npy").unlink(), ["train: labels.npy is missing"]),
        (lambda train: (train / "labels.npy").write_bytes(b""), ["train: labels.npy is missing"]),
        (
            lambda train: replace_array(train, "images-00000.npy", np.array([None])),
            ["train: images-00000.npy is missing"],
        ),
        (lambda train: replace_array(train, "images-00000.npy", np.uint8(3)), ["train: images-00000.npy is missing"]),
        (
            lambda train: replace_array(train, "images-00001.npy", np.zeros((4, 5, 6, 1), np.uint8)),
            ["train: 4 images, from image 300 on, of uint8 and shape (5, 6, 1)", "train: 300 labels; expected 304"],
        ),
        (
            lambda train: replace_array(train, "images-00000.npy", np.full((300, 2), "x")),
            ["train: 300 images, from image 0 on, of <U1 and shape (2,)"],
        ),
        (
            lambda train: replace_array(train, "labels.npy", np.full(300, np.nan)),
            ["train: the labels are float64 of shape (300,); expected int64 (N,)"],
        ),
        (
            lambda train: replace_array(train, "labels.npy", np.zeros((300, 3), np.int64)),
            ["train: the labels are int64 of shape (300, 3); expected int64 (N,)"],
        ),
        (lambda train: replace_array(train, "labels.npy", np.arange(299) % 3), ["train: 299 labels; expected 300"]),
    ],
)
def test_arrays_are_not_trusted(tmp_path: Path, damage: Callable[[Path], Any], texts: list[str]) -> None:
    """Arrays of a wrong kind, or missing ones, are errors and stop neither the statistics nor the figures."""
    source = ingested(tmp_path / "in", random_images(300), random_images(90, seed=1))
    damage(source / "train")
    out = validated(tmp_path, source)
    messages = errors(check(out, Validate(), None))
    assert all(any(line.startswith(text) for line in messages) for text in texts)
    assert (out / "pictures" / "class-histogram.png").exists()
    assert not list((out / "pictures").glob("contact*"))


@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=1, max_size=40), offset=st.integers(0, 130))
def test_a_damaged_file_never_stops_the_stage(data: bytes, offset: int) -> None:
    """Whatever bytes are written over the head of a shard, the stage completes and the check reports it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = ingested(folder / "in", random_images(9, shape=(2, 2, 1)), random_images(3, shape=(2, 2, 1), seed=1))
        shard = source / "train" / "images-00000.npy"
        content = shard.read_bytes()
        shard.write_bytes(content[:offset] + data + content[offset + len(data) :])
        assert check(validated(folder, source), Validate(), None)


def test_test_images_of_another_shape_are_an_error(tmp_path: Path) -> None:
    """Test images of another shape than the training images are an error that names both shapes."""
    source = ingested(tmp_path / "in", random_images(300), random_images(90, seed=1))
    replace_array(source / "test", "images-00000.npy", np.zeros((90, 8, 8, 1), np.uint8))
    messages = errors(check(validated(tmp_path, source), Validate(), None))
    assert any("test: 90 images" in text and "(8, 8, 1); expected uint8 and (6, 5, 1)" in text for text in messages)


def test_drift_of_class_shares_is_an_error(tmp_path: Path) -> None:
    """Training images whose class shares differ from the champion's are rejected."""
    then = champion_statistics(tmp_path / "then")
    images, labels = random_images(300, seed=2)
    labels[:120] = 0
    messages = errors(checked(tmp_path, (images, labels), random_images(90, seed=1), champion=then))
    assert len(messages) == 1
    assert "drifted from the champion's data by a Jensen-Shannon distance of 0.2" in messages[0]


def test_drift_of_brightness_is_an_error(tmp_path: Path) -> None:
    """Training images much darker than the champion's are rejected; this catches inverted images."""
    then = champion_statistics(tmp_path / "then")
    images, labels = random_images(300, seed=2)
    messages = errors(checked(tmp_path, (images // 2, labels), random_images(90, seed=1), champion=then))
    assert len(messages) == 1
    assert messages[0].startswith("train: mean brightness is 0.2")
    assert "0.499 in the champion's data" in messages[0]


def test_more_images_of_the_same_kind_have_not_drifted(tmp_path: Path) -> None:
    """More images of the same kind have not drifted; unreadable statistics are a warning."""
    then = champion_statistics(tmp_path / "then")
    out = validated(tmp_path, ingested(tmp_path / "in", random_images(400, seed=2), random_images(90, seed=1)))
    assert check(out, Validate(), then) == []
    unknown: Any = {"splits": {}}
    assert [finding.severity for finding in check(out, Validate(), unknown)] == ["warning"]
