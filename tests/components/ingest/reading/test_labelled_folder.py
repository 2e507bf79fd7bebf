"""Images whose classes are in a table: which table and columns are taken, what a row may name, what is refused."""

import os
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
    assert listing.notes == [f"the classes are those of {Path(table).name}"]
    assert listing.warnings == []


def test_the_likeliest_of_several_tables_is_taken(root: Path) -> None:
    """A competition brings several; another can be set, also one from elsewhere."""
    for name in ("sample_submission.csv", "test_labels.csv"):
        (root / name).write_text("id,label\n9,none\n")
    (root / "train_labels.csv").write_text(ROWS)
    assert classes(root) == EXPECTED
    (root.parent / "mine.csv").write_text("name;what\n1.png;a\n2.png;b\n")
    assert classes(root, labels=str(root.parent / "mine.csv")) == {"images/1.png": "a", "images/2.png": "b"}


def write_parquet(root: Path, columns: "dict[str, list[object]]", damage: tuple[bytes, bytes] = (b"", b"")) -> None:
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


def test_folders_of_classes_win(root: Path) -> None:
    """Such a table may hold anything; a note says how to use it, and the setting does."""
    for name in ("cat", "dog"):
        images(root / name, "a.png", "b.png")
    (root / "labels.csv").write_text("file,label\ncat/a.png,x\ndog/b.png,y\n")
    listing = list_images(root)
    assert listing.classes == ["cat", "dog", "images"]
    assert (
        "labels.csv is not read, as the folders are the classes; --set ingest.labels=labels.csv reads it"
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
    labels, faults = label_rows.matched(rows(), ["1.png"], Path("labels.csv"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (labels, faults.missing.count) == ({"1.png": "cat"}, 19_998)
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
