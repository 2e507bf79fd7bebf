"""Images whose classes are in a table: which table and columns are taken, what a row may name, what is refused."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from components.errors import DataRejected, SourceError
from components.ingest.reading import label_rows
from components.ingest.reading.folder_listing import list_images
from components.ingest.reading.labels_table import Row
from components.ingest.reading.listing import Listing
from components.ingest.sources import folder
from components.settings.sections import Ingest

NAMES = ("1.png", "2.png", "3.jpg", "4.jpg")
LABELS = ("cat", "dog", "cat", "dog")
ROWS = "file,label\n1.png,cat\n2.png,dog\n3.jpg,cat\n4.jpg,dog\n"
EXPECTED = {"images/1.png": "cat", "images/2.png": "dog", "images/3.jpg": "cat", "images/4.jpg": "dog"}


def images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names or NAMES):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5), np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four images in FOLDER/images, without a table."""
    images(tmp_path / "pets" / "images")
    return tmp_path / "pets"


def classes(root: Path, **settings: Any) -> dict[str, str]:
    """path -> class, as the table says."""
    return {image.path: image.name for image in list_images(root, Ingest(**settings)).images}


def refusal(root: Path, **settings: Any) -> str:
    with pytest.raises((DataRejected, SourceError)) as caught:
        list_images(root, Ingest(**settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("table", ["labels.csv", "images/labels.csv", "train.csv", "pets_metadata.CSV", "x.csv"])
def test_a_table_beside_or_among_the_images_is_found(root: Path, table: str) -> None:
    """By its name, or as the only one; what it says of the classes is a note."""
    (root / table).write_text(ROWS)
    listing = list_images(root)
    assert {image.path: image.name for image in listing.images} == EXPECTED
    assert listing.classes == ["cat", "dog"]
    columns = "file names in 'file', classes in 'label'"
    assert listing.notes == [f"the classes are those of {Path(table).name}: {columns}"]
    assert listing.warnings == []


@pytest.mark.parametrize("around", ["pets", "Dataset/pets"])
def test_a_table_in_folders_around_all_is_found(tmp_path: Path, around: str) -> None:
    """As in an archive of a folder: its root holds that folder alone."""
    inner = images(tmp_path / "unpacked" / around / "images").parent
    (inner / "labels.csv").write_text(ROWS)
    expected = {f"{around}/{path}": label for path, label in EXPECTED.items()}
    assert classes(tmp_path / "unpacked") == expected


def test_the_likeliest_of_several_tables_is_taken(root: Path) -> None:
    """A competition brings several; another can be set, also one from elsewhere."""
    for name in ("sample_submission.csv", "test_labels.csv"):
        (root / name).write_text("id,label\n9,none\n")
    (root / "train_labels.csv").write_text(ROWS)
    assert classes(root) == EXPECTED
    (root.parent / "mine.csv").write_text("name;what\n1.png;a\n2.png;b\n")
    assert classes(root, labels=str(root.parent / "mine.csv")) == {"images/1.png": "a", "images/2.png": "b"}


def write_parquet(root: Path, columns: "dict[str, Any]", damage: tuple[bytes, bytes] = (b"", b"")) -> None:
    pq.write_table(pa.table(columns), root / "labels.parquet")
    content = (root / "labels.parquet").read_bytes()
    (root / "labels.parquet").write_bytes(content.replace(*damage) if damage[0] else content)


TABLES: dict[str, Callable[[Path], object]] = {
    "tabs": lambda root: (root / "labels.tsv").write_text(ROWS.replace(",", "\t")),
    "semicolons and a byte order mark": lambda root: (root / "labels.csv").write_text(
        ROWS.replace(",", ";"), encoding="utf-8-sig"
    ),
    "UTF-16 of a spreadsheet": lambda root: (root / "labels.csv").write_text(ROWS, encoding="utf-16"),
    "quotes and other columns": lambda root: (root / "labels.csv").write_text(
        ',Image ID,size,Class Name\r\n0,"1.png","4, 5",cat\r\n1,2.png,,dog\r\n2,3.jpg,,cat\r\n3,4.jpg,,dog\r\n'
    ),
    "names without a suffix": lambda root: (root / "labels.csv").write_text("id,breed\n1,cat\n2,dog\n3,cat\n4,dog\n"),
    "paths from above, of Windows": lambda root: (root / "labels.csv").write_text(
        "image_path,target\npets\\images\\1.png,cat\n.\\images\\2.png,dog\nimages\\3.jpg,cat\n4.JPG,dog\n"
    ),
    "parquet": lambda root: write_parquet(root, {"filename": [*NAMES], "label": [*LABELS]}),
    "parquet of numbers": lambda root: write_parquet(root, {"id": [1, 2, 3, 4], "category": [*LABELS], "x": [0] * 4}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_people_and_programs_write_them(root: Path, kind: str) -> None:
    """The two columns are found by their names, the files by as much as a row says of them."""
    TABLES[kind](root)
    assert classes(root) == EXPECTED


def test_the_columns_can_be_set(root: Path) -> None:
    """Where their names say nothing, or another column is meant; a wrong one is answered with the closest name."""
    (root / "labels.csv").write_text("a,b,colour,label\n1.png,9,red,cat\n2.png,9,blue,dog\n")
    expected = "has no column that is known to hold file names, among 'a', 'b', 'colour', 'label'; name one with "
    assert expected in refusal(root)
    assert classes(root, file_column="a") == {"images/1.png": "cat", "images/2.png": "dog"}
    assert classes(root, file_column="a", label_column="colour") == {"images/1.png": "red", "images/2.png": "blue"}
    text = refusal(root, file_column="a", label_column="color")
    assert (
        "has no column 'color', ingest.label_column, among 'a', 'b', 'colour', 'label'; did you mean 'colour'?" in text
    )


SPLIT = "file,label,split\n" + "".join(
    f"{name}.png,{label},{split}\n"
    for name, label, split in (
        *[(1, "cat", "train"), (2, "dog", "Training"), (3, "cat", "val"), (4, "dog", "VALID")],
        *[(5, "cat", "test"), (6, "dog", "testing"), (7, "cat", "validation")],
    )
)


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """Seven images without a table."""
    return images(tmp_path / "pets" / "images", *(f"{number}.png" for number in range(1, 8))).parent


def splits(root: Path, table: str, **settings: Any) -> str:
    """A letter for the split of each image: t for training, v, x for the test split, and - where it is to be drawn."""
    (root / "labels.csv").write_text(table)
    found = sorted((image.path, image.split) for image in list_images(root, Ingest(**settings)).images)
    return "".join({"train": "t", "validation": "v", "test": "x", "": "-"}[split] for _, split in found)


def test_a_column_of_splits_is_followed(seven: Path) -> None:
    """However train, val and test are written; what was understood is in the note, and ends up in the source."""
    assert splits(seven, SPLIT) == "ttvvxxv"
    columns = "file names in 'file', classes in 'label', splits in 'split'"
    words = "Training is training, VALID is validation, test is test, testing is test, train is training, val is"
    assert f"the classes are those of labels.csv: {columns} ({words}" in list_images(seven).notes[0]
    source = folder.read(Ingest(source=str(seven)), seven.parent / "cache")
    assert {split: len(labels) for split, _, labels in source.blocks} == {"train": 2, "validation": 3, "test": 2}
    assert source.drawn is None


@pytest.mark.parametrize("column", ["Split", "set", "SUBSET", "partition", "data_split", "fold"])
def test_a_column_of_splits_is_found_by_its_name(seven: Path, column: str) -> None:
    """Beside a label that is found by being the only other column."""
    assert splits(seven, SPLIT.replace("split\n", f"{column}\n", 1)) == "ttvvxxv"
    assert splits(seven, SPLIT.replace("label,split\n", f"animal,{column}\n", 1)) == "ttvvxxv"


def test_a_validation_split_without_a_test_split_is_the_test_split(seven: Path) -> None:
    """As with folders; of training images alone the test split is drawn."""
    assert splits(seven, SPLIT.replace("testing", "val").replace("test", "train")) == "ttxxtxx"
    assert splits(seven, re.sub("val.*|test.*|VALID|Training", "train", SPLIT)) == "-------"
    assert splits(seven, SPLIT, split_column="none") == "-------"


def test_the_second_of_two_columns_is_the_labels(seven: Path) -> None:
    """Whatever it is called: a table without labels says nothing."""
    assert splits(seven, "file,set\n1.png,train\n2.png,test\n") == "--"
    assert list_images(seven).classes == ["test", "train"]


@pytest.mark.parametrize("values", ["0123401", "aaaaaaa", "       "])
def test_a_column_that_means_no_splits_is_only_mentioned(seven: Path, values: str) -> None:
    """Folds of a cross-validation, the name of a collection: as if it were not there."""
    rows = "".join(f"{number}.png,{'cd'[number % 2]},{value}\n" for number, value in enumerate(values, 1))
    assert splits(seven, f"file,label,fold\n{rows}1.png,d,9\n") == "-------"
    assert "'fold' does not split them into training and test" in list_images(seven).notes[0]
    assert "rows that repeat an earlier one: 1" in list_images(seven).warnings[0]
    assert "the column 'fold' says" in refusal(seven, split_column="fold")


BAD_SPLITS = {
    "another word": (
        SPLIT.replace("cat,test", "cat,dev"),
        "'split' says 'dev' of images/5.png; expected train",
    ),
    "several": (SPLIT.replace("val", "dev"), "'split' says 'dev' of images/3.png and 1 more; expected train"),
    "nothing": (SPLIT.replace("cat,test", "cat,"), "'split' says '' of images/5.png; expected"),
    "no training": (
        re.sub(",[tT]rain.*", ",test", SPLIT),
        "has no training images, only test and validation",
    ),
    "a class without training": (SPLIT.replace("Training", "val"), "leaves the class 'dog' without training images"),
    "a class without test": (SPLIT.replace("testing", "val"), "leaves the class 'dog' without test images; expected"),
    "two splits": (SPLIT + "1.png,cat,test\n", "gives files another split than an earlier row: 1 (images/1.png (train"),
}


@pytest.mark.parametrize("fault", BAD_SPLITS)
def test_splits_that_cannot_be_used_are_refused(seven: Path, fault: str) -> None:
    """With the value or the class, and how to go on without the column, as it was before there was one."""
    table, expected = BAD_SPLITS[fault]
    (seven / "labels.csv").write_text(table)
    assert expected in refusal(seven)
    assert splits(seven, table, split_column="none") == "-------"


def test_a_column_of_splits_can_be_set(seven: Path) -> None:
    """Whatever it is called; a wrong name is answered with the closest one."""
    assert splits(seven, SPLIT.replace("split\n", "usage\n", 1), split_column="usage") == "ttvvxxv"
    expected = "has no column 'usages', ingest.split_column, among 'file', 'label', 'usage'; did you mean 'usage'?"
    assert expected in refusal(seven, split_column="usages")


def test_splits_of_parquet_are_text(seven: Path) -> None:
    """Categories, as pandas writes them, too; another kind of column is passed over unless it is set."""
    text = [line.split(",") for line in SPLIT.splitlines()[1:]]
    files, labels, words = ([row[position] for row in text] for position in range(3))
    write_parquet(seven, {"file": files, "label": labels, "split": pa.array(words).dictionary_encode()})
    assert sum(image.split == "validation" for image in list_images(seven).images) == 3
    write_parquet(seven, {"file": files, "label": labels, "fold": [0.5] * 7})
    assert {image.split for image in list_images(seven).images} == {""}
    assert "the column fold holds double; expected text or whole numbers" in refusal(seven, split_column="fold")


def test_folders_of_classes_win(root: Path) -> None:
    """Such a table may hold anything; a note says how to use it, and the setting does."""
    for name in ("cat", "dog"):
        images(root / name, "a.png", "b.png")
    (root / "labels.csv").write_text("file,label\ncat/a.png,x\ndog/b.png,y\n")
    listing = list_images(root)
    assert listing.classes == ["cat", "dog", "images"]
    assert (
        "labels.csv is not read, as the folders are the classes; read it with --set ingest.labels=labels.csv"
        in listing.notes
    )
    assert classes(root, labels="labels.csv") == {"cat/a.png": "x", "dog/b.png": "y"}


def test_names_that_occur_in_several_folders_need_a_path(root: Path) -> None:
    """A part of the path that tells them apart is enough."""
    images(root / "more", *NAMES)
    (root / "labels.csv").write_text("file,label\nimages/1.png,cat\nmore/1.png,dog\n")
    assert classes(root, labels="labels.csv") == {"images/1.png": "cat", "more/1.png": "dog"}
    (root / "labels.csv").write_text("file,label\n1.png,cat\n2.png,dog\n")
    text = refusal(root, labels="labels.csv")
    assert "rows that name more than one file: 2 (1.png (images/1.png, more/1.png), 2.png (" in text


def test_rows_without_files_and_files_without_rows_are_named(root: Path) -> None:
    """They are left out, as is a row that repeats another. Each kind is a warning: the count, the first names."""
    gone = "".join(f"gone{i}.png,cat\n" for i in range(7))
    (root / "labels.csv").write_text("file,label\n1.png,cat\n2.png,dog\n1.png,cat\n" + gone)
    listing = list_images(root)
    assert [image.path for image in listing.images] == ["images/1.png", "images/2.png"]
    assert listing.warnings == [
        "labels.csv: rows without their file, left out: 7 (gone0.png, gone1.png, gone2.png, gone3.png, gone4.png, ...)",
        "labels.csv: images without a row, left out: 2 (images/3.jpg, images/4.jpg)",
        "labels.csv: rows that repeat an earlier one: 1 (images/1.png)",
    ]


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "another class": (ROWS + "1.png,dog\n", "rows that give a file another class than an earlier one: 1 (images/1.png"),
    "out of the folder": (ROWS + "../x.png,dog\n", "rows that lead out of the folder: 1 (../x.png)"),
    "absolute paths": (ROWS + "/etc/x,dog\nC:\\x.png,cat\n", "rows that lead out of the folder: 2 (/etc/x, C:/x.png)"),
    "no label": (ROWS.replace("3.jpg,cat", "3.jpg,"), "rows without a label: 1 (images/3.jpg)"),
    "a short row": (ROWS.replace("3.jpg,cat", "3.jpg"), "rows without a label: 1 (images/3.jpg)"),
    "no file": ("file,label\nx,a\n", "names none of the 4 images in FOLDER: its first row names 'x'; set ingest.file_"),
    "no row": ("file,label\n", "names none of the 4 images in FOLDER: it has no rows"),
    "nothing": ("", "has no column that is known to hold file names, among ; name one with"),
    "one class": ("file,label\n1.png,cat\n", "has only one class ('cat'); expected images of two classes"),
    "an unprintable class": (
        "file,label\n1.png,\a\n",
        "the class '\\x07' has a name that cannot be printed",
    ),
    "Latin 1": (ROWS.encode() + b"5.png,caf\xe9\n", "is not text in UTF-8 (b'\\xe9\\n'); save it as UTF-8"),
    "half of UTF-16": (b"\xff\xfef\0i\0l\0e\0,\0l\0\n", "is not text in UTF-8"),
    "a quote that never ends": ('file,label\n1.png,"' + "x" * 200_000, "cannot be read as a table (field larger than"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_that_leaves_a_class_open_is_refused(root: Path, fault: str) -> None:
    """In a sentence with the count and the first names."""
    content, expected = FAULTS[fault]
    (root / "labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert expected.replace("FOLDER", str(root)) in refusal(root)


def test_all_kinds_of_faults_are_one_message(root: Path) -> None:
    """So that they can be corrected at once."""
    (root / "labels.csv").write_text(ROWS + "1.png,dog\n../x.png,dog\n2.png,\n")
    text = refusal(root)
    assert all(part in text for part in ("lead out of the folder", "another class", "without a label", "Correct"))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda path: path.write_bytes(b"PAR1" + bytes(100) + b"PAR1"), "cannot be read as Parquet"),
        (lambda path: path.write_text("file,label"), "cannot be read as Parquet"),
        (
            lambda path: write_parquet(path.parent, {"file": ["caf_.png"], "label": ["a"]}, (b"caf_", b"caf\xe9")),
            "cannot be read as Parquet ('utf-8' codec can't decode",
        ),
        (
            lambda path: write_parquet(path.parent, {"image": [{"bytes": b"x"}], "label": ["cat"]}),
            "the column image holds struct<bytes: binary>; expected text or whole numbers",
        ),
    ],
)
def test_a_parquet_file_that_holds_something_else_is_refused(
    root: Path, write: Callable[[Path], object], expected: str
) -> None:
    write(root / "labels.parquet")
    assert expected in refusal(root)


@pytest.mark.parametrize("labels", ["none.csv", "images", "images/1.png"])
def test_a_table_that_is_set_must_be_one(root: Path, labels: str) -> None:
    """Nothing else is taken in its place."""
    (root / "labels.csv").write_text(ROWS)
    assert refusal(root, labels=labels).startswith(f"ingest.labels is '{labels}'; expected a .csv, .tsv, .parquet file")


def test_what_is_kept_grows_with_the_images_alone(tmp_path: Path) -> None:
    """Rows of other files cost time and no memory."""
    import tracemalloc

    def rows() -> Iterator[Row]:
        yield Row("1.png", "cat")
        yield from (Row(f"{number}.jpg", "dog") for number in range(2, 20_000))

    tracemalloc.start()
    known, faults = label_rows.matched(rows(), ["1.png"], Path("labels.csv"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (known, faults.missing.count) == ({"1.png": Row("1.png", "cat")}, 19_998)
    assert peak < 100_000


def test_the_fingerprint_is_that_of_images_and_table(root: Path, tmp_path: Path) -> None:
    """Reading confirms it; another label or image, also one without a row, is another fingerprint."""
    (root / "labels.csv").write_text(ROWS.replace("4.jpg,dog\n", ""))
    params, cache = Ingest(source=str(root)), tmp_path / "cache"
    before = folder.fingerprint(params, cache)
    source = folder.read(params, cache)
    assert source.classes == ["cat", "dog"]
    assert sum(len(labels) for _, _, labels in source.blocks) == 3
    assert source.fingerprint() == before == folder.fingerprint(params, tmp_path / "other")
    (root / "labels.csv").write_text(ROWS)
    changed = folder.fingerprint(params, cache)
    assert changed != before
    os.utime(root / "images" / "1.png", ns=(0, 0))
    (root / "images" / "1.png").write_bytes((root / "images" / "2.png").read_bytes())
    assert folder.fingerprint(params, cache) not in (before, changed)


def test_large_images_and_hidden_ones_are_found_at_any_depth(root: Path) -> None:
    """A listing of a labelled folder leaves out what any other does."""
    images(root / "images" / "deep" / "er", "5.png")
    images(root / "__MACOSX", "6.png")
    (root / "labels.csv").write_text(ROWS + "5.png,cat\n6.png,cat\n")
    listing: Listing = list_images(root)
    assert "images/deep/er/5.png" in [image.path for image in listing.images]
    assert listing.warnings == ["labels.csv: rows without their file, left out: 1 (6.png)"]
