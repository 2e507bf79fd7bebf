"""Validate: the statistics, the inferred schema and the figures that it writes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.data.problems import ImageFiles
from components.data.splits import Split
from components.validate.figures import contact_sheet, sheet_name
from tests.support.ingested_images import ingested, random_images, statistics_of, validated

ROOT = Path(__file__).parents[3]


def test_statistics_are_those_of_the_images(tmp_path: Path) -> None:
    """Counts and pixel statistics, overall and per channel, equal NumPy's."""
    train, test = random_images(200, shape=(4, 3, 3)), random_images(60, shape=(4, 3, 3), seed=1)
    train[0][..., 1] //= 2
    split = statistics_of(validated(tmp_path, ingested(tmp_path / "in", train, test)))["splits"]["train"]
    assert split["images"] == 200
    assert split["kinds"] == [{"dtype": "uint8", "shape": [4, 3, 3], "images": 200, "first": 0}]
    assert split["histogram"] == [67, 67, 66]
    assert split["pixels"]
    for computed, values in [(split["pixels"], train[0]), *zip(split["pixels"]["channels"], train[0].T, strict=True)]:
        assert (computed["mean"], computed["deviation"]) == pytest.approx((values.mean(), values.std()), rel=1e-12)
        assert (computed["min"], computed["max"]) == (values.min(), values.max())


def test_copies_are_counted_with_their_indices(tmp_path: Path) -> None:
    """Copies within a split, under another label, and across splits are counted, with example pairs."""
    train, test = random_images(200), random_images(60, seed=1)
    train[0][[150, 7]] = train[0][3], train[0][4]
    train[1][150] = train[1][3]
    test[0][11] = train[0][33]
    statistics = statistics_of(validated(tmp_path, ingested(tmp_path / "in", train, test)))
    assert statistics["splits"]["train"]["duplicates"] == {"count": 2, "examples": [[4, 7], [3, 150]]}
    assert statistics["splits"]["train"]["contradictions"] == {"count": 0, "examples": []}
    assert statistics["splits"]["test"]["duplicates"] == {"count": 0, "examples": []}
    assert statistics["leaked"] == {"count": 1, "examples": [[11, 33]]}


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Every file, figures too, is identical when another process with another hash seed writes it."""
    source = ingested(tmp_path / "in", random_images(300), random_images(90, seed=1))
    here, there = validated(tmp_path, source), tmp_path / "there"
    there.mkdir()
    code = (
        "import sys; from pathlib import Path; from components.validate.stage import validate;"
        "validate(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(source), str(there)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)})
    files = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
    assert len(files) == 7
    assert all((here / file).read_bytes() == (there / file).read_bytes() for file in files)


def test_figures_show_the_images(tmp_path: Path) -> None:
    """There is a contact sheet for each class, with its images enlarged by a whole factor, and a histogram."""
    train, test = random_images(300, shape=(16, 16, 3)), random_images(90, shape=(16, 16, 3), seed=1)
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
    """More than fifty classes share sheets, twenty to a page, and a histogram of readable size."""
    parts = random_images(520, classes=130), random_images(130, classes=130, seed=1)
    names = [f"a name that is longer than its column {number}" for number in range(130)]
    folder = validated(tmp_path, ingested(tmp_path / "in", *parts, names)) / "pictures"
    assert len(list(folder.glob("contacts-*.png"))) == 7
    assert len(list(folder.iterdir())) == 8
    for path in folder.iterdir():
        with Image.open(path) as picture:
            assert max(picture.size) < 5000


def test_unusual_images_have_a_sheet(tmp_path: Path) -> None:
    """A class without images, images of one pixel and very long ones are drawn too."""
    for shape in ((1, 1, 1), (1, 400, 3)):
        folder = tmp_path / str(shape[1])
        out = validated(folder, ingested(folder / "in", random_images(8, 2, shape), random_images(4, 2, shape)))
        assert len(list((out / "pictures").glob("c*.png"))) == 4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=50), min_size=1, max_size=12, unique=True))
def test_sheet_names_are_safe_and_different(names: list[str]) -> None:
    """Whatever the class names, the file names are plain, short, and differ by more than letter case."""
    files = [sheet_name(number, name, len(names)) for number, name in enumerate(names)]
    assert len({file.lower() for file in files}) == len(names)
    assert all(len(file) < 60 and file.isascii() and not set(file) & set('/\\:*?"<>| \0\n') for file in files)


def test_no_image_of_a_contact_sheet_stays_in_memory(tmp_path: Path) -> None:
    """The kernel counts up to 2 MB for each: a sheet of each class would count as all images."""
    source = ingested(tmp_path / "in", random_images(30), random_images(9, seed=1))
    train = Split(source / "train")
    contact_sheet(train, "all", [("", np.arange(6)), ("", np.arange(6, 12))], ImageFiles.of(source))
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
