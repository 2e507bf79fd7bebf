"""Images with a problem, by file: which are found, and problems.csv."""

import csv
import json
from pathlib import Path

import numpy as np

from components.artifact_files import Statistics
from components.data import problems
from components.data.problems import ImageAt, Problem
from components.data.splits import SplitWriter
from components.data.statistics import compute_statistics
from tests.support.ingested_images import Part, ingested, random_images, statistics_of, validated
from tests.support.photographs import photographs, saved_again


def measured(folder: Path, train: Part, test: Part, *, files: bool = True) -> tuple[Statistics, list[Problem]]:
    source = ingested(folder, train, test)
    if files:
        names = {
            split: [f"{split}/{i}.png" for i in range(len(part[0]))]
            for split, part in (("train", train), ("test", test))
        }
        (source / "files.json").write_text(json.dumps(names))
    return compute_statistics(source)


def parts() -> tuple[Part, Part]:
    """Photographs large enough for near duplicates."""
    return (photographs(40), np.arange(40) % 3), (photographs(20, seed=1), np.arange(20) % 3)


def test_every_problem_is_named_by_its_file(tmp_path: Path) -> None:
    """Blank and nearly blank ones, copies, copies under another label, near duplicates; within and across splits."""
    train, test = parts()
    train[0][0] = 200
    train[0][1] = np.random.default_rng(0).integers(100, 103, (64, 64, 3))
    train[0][9] = train[0][3]  # both of class c0
    train[0][8] = train[0][4]  # c2, c1
    train[0][12] = saved_again(train[0][6])
    test[0][5], test[0][7] = train[0][20], saved_again(train[0][22])
    _, rows = measured(tmp_path / "in", train, test)
    assert [(str(row.image), row.problem, str(row.other or "")) for row in rows] == [
        ("train/9.png", "duplicate", "train/3.png"),
        ("train/4.png", "label-conflict", "train/8.png"),
        ("train/8.png", "label-conflict", "train/4.png"),
        ("train/12.png", "near-duplicate", "train/6.png"),
        ("train/0.png", "blank", ""),
        ("train/1.png", "nearly-blank", ""),
        ("train/20.png", "duplicate", "test/5.png"),
        ("train/22.png", "near-duplicate", "test/7.png"),
    ]
    assert rows[1].detail == "is the same image as train/8.png, of class 'c2'"
    assert rows[6].detail == "repeats test/5.png of the test split; left out of training"


def test_the_shortest_name_is_the_original(tmp_path: Path) -> None:
    """Of `x copy 2.png`, `x copy.png` and `x.png`, which sort in this order, the first two are the copies."""
    train, test = parts()
    train[0][[0, 3]] = train[0][6]
    source = ingested(tmp_path / "in", train, test)
    names = {0: "x copy 2.png", 3: "x copy.png", 6: "x.png"}
    paths = {"train": [names.get(i, f"{i}.png") for i in range(40)], "test": [f"{i}.png" for i in range(20)]}
    (source / "files.json").write_text(json.dumps(paths))
    found = {(row.image.file, str(row.other)) for row in compute_statistics(source).problems}
    assert found == {("x copy 2.png", "x.png"), ("x copy.png", "x.png")}


def test_statistics_name_the_first_files(tmp_path: Path) -> None:
    """Where the source has files; the others have indices alone."""
    train, test = parts()
    train[0][:20] = 7
    test[0][3] = train[0][30]
    statistics, rows = measured(tmp_path / "in", train, test)
    assert statistics["splits"]["train"]["constant"]["files"] == [f"train/{i}.png" for i in range(10)]
    assert statistics["leaked"]["files"] == [["test/3.png", "train/30.png"]]
    assert sum(row.problem == problems.BLANK for row in rows) == 20
    assert not any(row.problem == problems.DUPLICATE and row.image.position < 20 for row in rows), (
        "blank ones are named once"
    )
    statistics, rows = measured(tmp_path / "other", train, test, files=False)
    assert "files" not in statistics["leaked"]
    assert str(rows[0].image) == "train image 0"


def test_a_validation_split_of_the_source_is_looked_at_too(tmp_path: Path) -> None:
    """Its blank images and copies are named; it has statistics and bars of its own."""
    train, test = parts()
    source = ingested(tmp_path / "in", train, test)
    images, labels = photographs(12, seed=2), np.arange(12) % 3
    images[3], images[5] = 0, images[7]
    with SplitWriter(source / "validation", (64, 64, 3)) as split:
        split.add(images, labels)
    found = [(str(row.image), row.problem) for row in compute_statistics(source).problems]
    assert found == [
        ("validation image 5", "label-conflict"),
        ("validation image 7", "label-conflict"),
        ("validation image 3", "blank"),
    ]
    out = validated(tmp_path, source)
    assert statistics_of(out)["splits"]["validation"]["images"] == 12
    assert set(json.loads((out / "schema.json").read_text())["min_images"]) == {"train", "test"}


def test_images_of_little_contrast_are_not_nearly_blank(tmp_path: Path) -> None:
    """Values of 0 and 1 that were never scaled deviate little from their mean, and show something all the same."""
    train, test = random_images(300), random_images(60, seed=1)
    for images, _ in (train, test):
        images[...] = images > 127
    statistics, rows = measured(tmp_path / "in", train, test)
    assert statistics["splits"]["train"]["faint"]["count"] == 0
    assert not [row for row in rows if row.problem == problems.FAINT]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Names with commas, quotes, newlines and bytes that are no UTF-8 come back as they were."""
    rows = [
        Problem(ImageAt("train", 3, 'a,"b"\n\udce9.png'), "c", problems.BLANK, "of one colour"),
        Problem(ImageAt("test", 0, ""), "", problems.DUPLICATE, "repeats x", ImageAt("train", 7, "x")),
    ]
    problems.write(rows, tmp_path)
    assert problems.read(tmp_path) == rows
    assert problems.read(tmp_path / "missing") == []
    with (tmp_path / problems.FILE).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert [row["problem"] for row in csv.DictReader(file)] == ["blank", "duplicate"]
