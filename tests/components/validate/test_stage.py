"""Validate: what is measured, which anomalies are told of it, and what is drawn."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.data.splits import Images, Labels, SplitWriter
from components.errors import ConfigError, DataRejected
from components.findings import Finding, errors, require, warnings
from components.settings.sections import Validate
from components.validate import schema
from components.validate.anomalies import jensen_shannon
from components.validate.figures import sheet_name
from components.validate.stage import REJECTION, check, validate

ROOT = Path(__file__).parents[3]
Part = tuple[Images, Labels]
CLASSES = ["c0", "c1", "c2"]


def some(count: int, classes: int = 3, shape: tuple[int, int, int] = (6, 5, 1), seed: int = 0) -> Part:
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, np.arange(count) % classes


def ingested(folder: Path, train: Part, test: Part, classes: list[str] | None = None) -> Path:
    shape = train[0].shape[1:]
    for name, (images, labels) in (("train", train), ("test", test)):
        with SplitWriter(folder / name, shape) as out:
            out.add(images, labels)
    source = {"source": "folder", "name": "things", "classes": classes or CLASSES, "shape": shape}
    (folder / "source.json").write_text(json.dumps(source), encoding="utf-8")
    return folder


def validated(folder: Path, ingest: Path) -> Path:
    out = folder / "validated"
    out.mkdir(parents=True)
    validate(ingest, out)
    return out


def statistics_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "statistics.json").read_text(encoding="utf-8"))
    return content


def judged(
    folder: Path, train: Part, test: Part, params: Validate | None = None, champion: dict[str, Any] | None = None
) -> list[Finding]:
    return check(validated(folder, ingested(folder / "in", train, test)), params or Validate(), champion)


def test_sound_images_have_no_anomaly(tmp_path: Path) -> None:
    """Of sound images there is nothing to be told."""
    assert judged(tmp_path, some(300), some(60, seed=1)) == []


def test_real_digits_have_no_anomaly(tmp_path: Path) -> None:
    """The handwritten digits that come with scikit-learn pass without a word."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images * 255 / 16).astype(np.uint8)[..., np.newaxis]
    train, test = ((images[part], found.target[part]) for part in (slice(300, None), slice(300)))
    source = ingested(tmp_path / "in", train, test, [str(name) for name in found.target_names])
    assert check(validated(tmp_path, source), Validate(), None) == []


@pytest.mark.skipif("MNIST_DIR" not in os.environ, reason="needs MNIST's files")
def test_real_mnist_has_no_anomaly(tmp_path: Path) -> None:
    """MNIST passes without a word, and its figures are the well-known ones."""

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
    assert (split["pixels"]["mean"] / 255, split["pixels"]["deviation"] / 255) == pytest.approx(
        (0.1307, 0.3081), abs=1e-4
    )


def test_statistics_are_those_of_the_images(tmp_path: Path) -> None:
    """Counts and pixel statistics, whole and per channel, are what NumPy finds."""
    train, test = some(200, shape=(4, 3, 3)), some(60, shape=(4, 3, 3), seed=1)
    train[0][..., 1] //= 2
    split = statistics_of(validated(tmp_path, ingested(tmp_path / "in", train, test)))["splits"]["train"]
    assert split["images"] == 200
    assert split["kinds"] == [{"dtype": "uint8", "shape": [4, 3, 3], "images": 200, "first": 0}]
    assert split["histogram"] == [67, 67, 66]
    for found, values in [(split["pixels"], train[0]), *zip(split["pixels"]["channels"], train[0].T, strict=True)]:
        assert (found["mean"], found["deviation"]) == pytest.approx((values.mean(), values.std()), rel=1e-12)
        assert (found["min"], found["max"]) == (values.min(), values.max())


def test_copies_are_found_with_their_places(tmp_path: Path) -> None:
    """Copies within a split, under another label, and across splits are counted, with the pairs that show it."""
    train, test = some(200), some(60, seed=1)
    train[0][[150, 7]] = train[0][3], train[0][4]
    train[1][150] = train[1][3]
    test[0][11] = train[0][33]
    found = statistics_of(validated(tmp_path, ingested(tmp_path / "in", train, test)))
    assert found["splits"]["train"]["duplicates"] == {"count": 2, "examples": [[4, 7], [3, 150]]}
    assert found["splits"]["train"]["contradictions"] == {"count": 0, "examples": []}
    assert found["splits"]["test"]["duplicates"] == {"count": 0, "examples": []}
    assert found["leaked"] == {"count": 1, "examples": [[11, 33]]}


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
    ("harm", "severity", "text"),
    [
        (
            outside,
            "error",
            "train: 2 of 300 images (0.667 %; images 5, 8) with a label of no class (-1, 3); expected 0 to 2",
        ),
        (missing_in_train, "error", "train: no image of class 'c2'; expected images of each of the 3 classes"),
        (missing_in_test, "error", "test: no image of class 'c0'; expected images of each of the 3 classes"),
        (one_class, "error", "train: every image is of class 'c1'; expected at least two classes"),
        (
            one_colour,
            "error",
            "train: 4 of 300 images (1.33 %; images 3, 4, 90, 200) of one colour; expected at most 1 %",
        ),
        (one_constant, "warning", "test: 1 of 90 images (1.11 %; image 2) of one colour; expected at most 2 %"),
        (
            much_leakage,
            "error",
            "test: 2 of 90 images (2.22 %; test = training image 0 = 0, 1 = 1) that are in the training",
        ),
        (
            little_leakage,
            "warning",
            "test: 1 of 90 images (1.11 %; test = training image 50 = 123) that are in the training",
        ),
        (
            contradiction,
            "warning",
            "train: 1 of 300 images (0.333 %; image 2 = 10) that repeat another under a different",
        ),
        (
            many_copies,
            "warning",
            "train: 30 of 300 images (10 %; images 0 = 30, 1 = 31, 2 = 32, 3 = 33, 4 = 34 and 25 more)",
        ),
        (other_shares, "warning", "test: class shares off those of training: 'c0' is 42.2 %, expected 28.3 to 38.3"),
    ],
)
def test_anomaly(tmp_path: Path, harm: Callable[[Part, Part], None], severity: str, text: str) -> None:
    """Each kind of harm is told once, with split, value, images and expectation, and at its severity."""
    train, test = some(300), some(90, seed=1)
    harm(train, test)
    bounds = Validate(max_constant_share=0.02) if harm is one_constant else Validate()
    found = [finding for finding in judged(tmp_path, train, test, bounds) if finding.text.startswith(text)]
    assert [finding.severity for finding in found] == [severity]


def test_error_rejects_and_warning_passes(tmp_path: Path) -> None:
    """An error rejects the data by its sentence alone; a warning lets them pass."""
    train, test = some(300), some(90, seed=1)
    little_leakage(train, test)
    require(judged(tmp_path / "warned", train, test), REJECTION)
    outside(train, test)
    found = judged(tmp_path / "rejected", train, test)
    assert (len(errors(found)), len(warnings(found))) == (1, 1)
    assert found[0].severity == "error"
    with pytest.raises(DataRejected, match=r"^train: 2 of 300 images .*$"):
        require(found, REJECTION)


def test_too_few_images(tmp_path: Path) -> None:
    """A training split below validate.min_images and an empty test split are errors that name the number."""
    found = errors(judged(tmp_path, some(30), some(0)))
    assert "train: 30 images; expected at least 100 (validate.min_images)" in found
    assert "test: 0 images; expected at least 1 (validate.min_images)" in found
    assert len(found) == 2


def test_a_new_bound_judges_what_was_measured(tmp_path: Path) -> None:
    """Bounds are applied to statistics.json alone: nothing else is read, nothing is measured again."""
    train, test = some(300), some(90, seed=1)
    much_leakage(train, test)
    out = validated(tmp_path, ingested(tmp_path / "in", train, test))
    shutil.rmtree(tmp_path / "in")
    shutil.rmtree(out / "pictures")
    assert errors(check(out, Validate(), None))
    assert not errors(check(out, Validate(max_duplicate_share=0.1), None))
    assert errors(check(out, Validate(max_duplicate_share=0.1, min_images=301), None))


def test_judging_loads_nothing_heavy(tmp_path: Path) -> None:
    """A check of a reused artifact loads neither NumPy nor Pillow nor matplotlib."""
    out = validated(tmp_path, ingested(tmp_path / "in", some(300), some(90, seed=1)))
    code = (
        "import sys; from pathlib import Path; from components.validate.stage import check;"
        "from components.settings.sections import Validate; assert check(Path(sys.argv[1]), Validate(), None) == [];"
        "assert not {'numpy', 'PIL', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=True, cwd=ROOT)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Every file, pictures too, is the same bit for bit when another process makes it, with another hash seed."""
    source = ingested(tmp_path / "in", some(300), some(90, seed=1))
    here, there = validated(tmp_path, source), tmp_path / "there"
    there.mkdir()
    code = (
        "import sys; from pathlib import Path; from components.validate.stage import validate;"
        "validate(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(source), str(there)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)})
    files = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
    assert len(files) == 6
    assert all((here / file).read_bytes() == (there / file).read_bytes() for file in files)


def replace(folder: Path, file: str, array: Any) -> None:
    np.save(folder / file, array, allow_pickle=True)


def floats_with_nan(train: Path) -> None:
    images = np.zeros((300, 6, 5, 1), np.float32)
    images[[17, 40], 0, 0, 0] = np.nan
    replace(train, "images-00000.npy", images)


def truncated(train: Path) -> None:
    path = train / "images-00000.npy"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("harm", "texts"),
    [
        (
            floats_with_nan,
            [
                "train: 300 images, from image 0 on, of float32 and shape (6, 5, 1); expected uint8 and (6, 5, 1)",
                "train: 2 of 300 images (0.667 %; images 17, 40) with values that are no numbers",
            ],
        ),
        (truncated, ["train: images-00000.npy is missing or no whole .npy array"]),
        (lambda train: (train / "images-00000.npy").unlink(), ["train: images-00000.npy is missing"]),
        (lambda train: (train / "labels.npy").unlink(), ["train: labels.npy is missing"]),
        (lambda train: (train / "labels.npy").write_bytes(b""), ["train: labels.npy is missing"]),
        (lambda train: replace(train, "images-00000.npy", np.array([None])), ["train: images-00000.npy is missing"]),
        (lambda train: replace(train, "images-00000.npy", np.uint8(3)), ["train: images-00000.npy is missing"]),
        (
            lambda train: replace(train, "images-00001.npy", np.zeros((4, 5, 6, 1), np.uint8)),
            ["train: 4 images, from image 300 on, of uint8 and shape (5, 6, 1)", "train: 300 labels; expected 304"],
        ),
        (
            lambda train: replace(train, "images-00000.npy", np.full((300, 2), "x")),
            ["train: 300 images, from image 0 on, of <U1 and shape (2,)"],
        ),
        (
            lambda train: replace(train, "labels.npy", np.full(300, np.nan)),
            ["train: the labels are float64 of shape (300,); expected int64 (N,)"],
        ),
        (
            lambda train: replace(train, "labels.npy", np.zeros((300, 3), np.int64)),
            ["train: the labels are int64 of shape (300, 3); expected int64 (N,)"],
        ),
        (lambda train: replace(train, "labels.npy", np.arange(299) % 3), ["train: 299 labels; expected 300"]),
    ],
)
def test_arrays_are_not_trusted(tmp_path: Path, harm: Callable[[Path], Any], texts: list[str]) -> None:
    """Arrays of a wrong kind, or none at all, are told as errors and stop neither the measuring nor the pictures."""
    source = ingested(tmp_path / "in", some(300), some(90, seed=1))
    harm(source / "train")
    out = validated(tmp_path, source)
    found = errors(check(out, Validate(), None))
    assert all(any(line.startswith(text) for line in found) for text in texts)
    assert (out / "pictures" / "class-histogram.png").exists()
    assert not list((out / "pictures").glob("contact*"))


@settings(max_examples=40, deadline=None)
@given(data=st.binary(min_size=1, max_size=40), offset=st.integers(0, 130))
def test_a_damaged_file_never_stops_the_stage(data: bytes, offset: int) -> None:
    """Whatever bytes are written over the head of a shard, the stage ends and the check has its say."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = ingested(folder / "in", some(9, shape=(2, 2, 1)), some(3, shape=(2, 2, 1), seed=1))
        shard = source / "train" / "images-00000.npy"
        content = shard.read_bytes()
        shard.write_bytes(content[:offset] + data + content[offset + len(data) :])
        assert check(validated(folder, source), Validate(), None)


def test_test_images_of_another_shape(tmp_path: Path) -> None:
    """Test images of another shape than the training images are an error that names both shapes."""
    source = ingested(tmp_path / "in", some(300), some(90, seed=1))
    replace(source / "test", "images-00000.npy", np.zeros((90, 8, 8, 1), np.uint8))
    found = errors(check(validated(tmp_path, source), Validate(), None))
    assert any("test: 90 images" in text and "(8, 8, 1); expected uint8 and (6, 5, 1)" in text for text in found)


# --- the schema ---


def pinned(folder: Path, **changes: Any) -> Validate:
    """Settings with a pinned schema: the one inferred from sound images, with *changes*."""
    out = validated(folder / "first", ingested(folder / "first" / "in", some(300), some(90, seed=1)))
    content = json.loads((out / "schema.json").read_text(encoding="utf-8")) | changes
    path = folder / "pinned.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return Validate(schema=str(path))


def test_inferred_schema_can_be_pinned(tmp_path: Path) -> None:
    """The schema that was written, pinned as it is, says what the images are and finds nothing wrong with them."""
    params = pinned(tmp_path)
    assert asdict(schema.read(Path(params.schema))) == {
        "version": 1, "classes": CLASSES, "shape": [6, 5, 1], "dtype": "uint8",
        "min_images": {"train": 150, "test": 45}, "class_shares": dict.fromkeys(CLASSES, 0.333333),
    }  # fmt: skip
    assert judged(tmp_path, some(300), some(90, seed=1), params) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"class_shares": {"c0": 0.2, "c1": 0.4, "c2": 0.4}},
            "train: class shares off the schema: 'c0' is 33.3 %, expected 15",
        ),
        (
            {"class_shares": {"c0": 0.3, "c1": [0, 0.3], "c2": 0.3}},
            "train: class shares off the schema: 'c1' is 33.3 %",
        ),
        ({"min_images": {"test": 91}}, "test: 90 images; expected at least 91 (the schema)"),
        (
            {"shape": [6, 5, 3]},
            "train: 300 images, from image 0 on, of uint8 and shape (6, 5, 1); expected uint8 and (6, 5, 3)",
        ),
        (
            {"classes": ["c1", "c0", "c2"]},
            "the classes are 'c0', 'c1', 'c2'; the schema expects 'c1', 'c0', 'c2', in this order",
        ),
    ],
)
def test_pinned_schema_is_held_to(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    """What is not as the pinned schema says is an error."""
    found = errors(judged(tmp_path, some(300), some(90, seed=1), pinned(tmp_path, **changes)))
    assert any(line.startswith(text) for line in found)


def test_wider_bounds_in_the_schema_pass(tmp_path: Path) -> None:
    """A class with bounds of its own is held to those, not to validate.max_class_share_change."""
    params = pinned(tmp_path, class_shares={"c0": [0.1, 0.9], "c1": [0, 1], "c2": 0.3})
    assert judged(tmp_path, some(300), some(90, seed=1), params) == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "which cannot be read (No such file or directory); expected the path of a schema"),
        ("{", "this is no JSON"),
        ("[1]", "the file holds [1]; expected a JSON object with version, classes"),
        ({"version": 2}, "version is 2; expected 1, the version that this pipeline reads"),
        ({"classes": ["a", "a"]}, 'classes is ["a", "a"]; expected a list of at least two different names'),
        ({"shape": [28, 28]}, "shape is [28, 28]; expected [height, width, channels]"),
        ({"shape": [28, 28, 2]}, "shape is [28, 28, 2]; expected"),
        ({"dtype": "float32"}, 'dtype is "float32"; expected "uint8"'),
        ({"min_images": {"training": 3}}, 'min_images is {"training": 3}; expected'),
        ({"class_shares": {"c0": 33, "c1": 33, "c2": 33}}, 'class_shares is {"c0": 33, "c1": 33, "c2": 33}; expected'),
        ({"class_shares": 3, "version": 1}, "class_shares is 3; expected for each class"),
        ({"class_shares": {"c0": 0.5}}, 'class_shares is {"c0": 0.5}; expected for each class'),
        ({"class_shares": {"c0": [0.5, 0.2], "c1": 0.3, "c2": 0.3}}, "class_shares is"),
        ({"clases": 1}, "no entry of a schema is called 'clases'; did you mean 'classes'?"),
    ],
)
def test_broken_schema_is_a_wrong_setting(tmp_path: Path, content: Any, text: str) -> None:
    """A schema that is not there, no JSON, or wrong in an entry is a ConfigError that names the file and the entry."""
    params = pinned(tmp_path, **(content if isinstance(content, dict) else {}))
    if content is None:
        Path(params.schema).unlink()
    elif isinstance(content, str):
        Path(params.schema).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        judged(tmp_path, some(300), some(90, seed=1), params)
    assert text in str(caught.value)
    assert params.schema in str(caught.value)
    assert len(caught.value.problems) == 1


# --- drift from the champion's data ---


def test_drift_of_class_shares(tmp_path: Path) -> None:
    """Training images whose classes are shared out otherwise than the champion's are rejected."""
    then = statistics_of(validated(tmp_path / "then", ingested(tmp_path / "then" / "in", some(300), some(90, seed=1))))
    images, labels = some(300, seed=2)
    labels[:120] = 0
    found = errors(judged(tmp_path, (images, labels), some(90, seed=1), champion=then))
    assert len(found) == 1
    assert "drifted from the champion's data by a Jensen-Shannon distance of 0.2" in found[0]


def test_drift_of_brightness(tmp_path: Path) -> None:
    """Training images much darker than the champion's are rejected; inverted images are found this way."""
    then = statistics_of(validated(tmp_path / "then", ingested(tmp_path / "then" / "in", some(300), some(90, seed=1))))
    images, labels = some(300, seed=2)
    found = errors(judged(tmp_path, (images // 2, labels), some(90, seed=1), champion=then))
    assert len(found) == 1
    assert found[0].startswith("train: mean brightness is 0.2")
    assert "0.499 in the champion's data" in found[0]


def test_no_drift(tmp_path: Path) -> None:
    """More images of the same kind have not drifted; statistics that cannot be read are told, not judged."""
    then = statistics_of(validated(tmp_path / "then", ingested(tmp_path / "then" / "in", some(300), some(90, seed=1))))
    out = validated(tmp_path, ingested(tmp_path / "in", some(400, seed=2), some(90, seed=1)))
    assert check(out, Validate(), then) == []
    assert [finding.severity for finding in check(out, Validate(), {"splits": {}})] == ["warning"]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_distance_is_that_of_scipy(counts: list[tuple[int, int]]) -> None:
    """The distance is SciPy's Jensen-Shannon distance to base 2."""
    from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]

    p, q = (np.array([pair[side] for pair in counts] + [1.0]) for side in (0, 1))
    named = [dict(zip("abcdefghi", (of / of.sum()).tolist(), strict=False)) for of in (p, q)]
    assert jensen_shannon(*named) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)


def test_distance_of_classes_that_are_not_shared() -> None:
    """Distributions over other classes are as far apart as can be."""
    assert jensen_shannon({"a": 1.0}, {"b": 1.0}) == 1.0
    assert jensen_shannon({"a": 0.5, "b": 0.5}, {"b": 0.5, "a": 0.5}) == 0.0


# --- the pictures ---


def test_pictures_show_the_images(tmp_path: Path) -> None:
    """There is a contact sheet for each class, with the pixels of its images in whole multiples, and a histogram."""
    train, test = some(300, shape=(16, 16, 3)), some(90, shape=(16, 16, 3), seed=1)
    source = ingested(tmp_path / "in", train, test, ["0", "Ankle boot", "../b"])
    folder = validated(tmp_path, source) / "pictures"
    assert sorted(path.name for path in folder.iterdir()) == [
        "class-histogram.png", "contact-0.png", "contact-1-Ankle_boot.png", "contact-2-b.png",
    ]  # fmt: skip
    with Image.open(folder / "contact-0.png") as page:
        pixels = np.asarray(page)
    first = np.repeat(np.repeat(train[0][0], 4, 0), 4, 1)
    assert np.array_equal(pixels[54 : 54 + 64, 16 : 16 + 64], first)


def test_many_classes_have_few_sheets(tmp_path: Path) -> None:
    """More than fifty classes share sheets, twenty to a page, and a histogram that can still be looked at."""
    parts = some(520, classes=130), some(130, classes=130, seed=1)
    names = [f"a name that is longer than its column {number}" for number in range(130)]
    folder = validated(tmp_path, ingested(tmp_path / "in", *parts, names)) / "pictures"
    assert len(list(folder.glob("contacts-*.png"))) == 7
    assert len(list(folder.iterdir())) == 8
    for path in folder.iterdir():
        with Image.open(path) as picture:
            assert max(picture.size) < 5000


def test_empty_class_has_a_sheet(tmp_path: Path) -> None:
    """A class without images, images of one pixel and very long ones are drawn all the same."""
    for shape in ((1, 1, 1), (1, 400, 3)):
        folder = tmp_path / str(shape[1])
        out = validated(folder, ingested(folder / "in", some(8, 2, shape), some(4, 2, shape)))
        assert len(list((out / "pictures").iterdir())) == 4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=50), min_size=1, max_size=12, unique=True))
def test_sheet_names_are_safe_and_different(names: list[str]) -> None:
    """Whatever the classes are called, the file names are plain, short, and differ by more than capitals."""
    files = [sheet_name(number, name, len(names)) for number, name in enumerate(names)]
    assert len({file.lower() for file in files}) == len(names)
    assert all(len(file) < 60 and file.isascii() and not set(file) & set('/\\:*?"<>| \0\n') for file in files)
