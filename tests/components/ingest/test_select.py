"""Which source serves a setting, what it is called, and what "auto" selects."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import SourceError
from components.ingest import select
from components.ingest.reading import naming
from components.ingest.reading.content_split import SplitByContent
from components.settings.sections import Ingest
from tests.support import idx_files

ROOT = Path(select.__file__).parents[2]
NOBODY = "http://127.0.0.1:9/"  # the port "discard", on which nothing listens


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def test_each_source_has_its_kind(tmp_path: Path) -> None:
    """Names are distinguished from folders, and folders of IDX files from folders of images."""
    idx_files.write(tmp_path / "idx")
    (tmp_path / "images").mkdir()
    sources = ["mnist", "digits", "tfds:emnist/letters", "tfds:mnist:3.0.1"]
    assert [select.kind(source) for source in sources] == ["mnist", "digits", "tfds", "tfds"]
    assert [select.kind(str(tmp_path / name)) for name in ("idx", "images")] == ["idx", "folder"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "mnits",
            "no source is called 'mnits'; did you mean 'mnist'? expected digits, mnist, s3://BUCKET",
        ),
        ("something", "no source is called 'something'; expected digits, mnist"),
        ("", "no source is called ''"),
        ("auto", "the source 'auto' is for runs started by hand"),
        ("no/such/folder", "there is no folder no/such/folder"),
        (__file__, "is a file; expected"),
        ("tfds:", "'tfds:' does not name a data set; expected tfds:NAME, such as tfds:fashion_mnist"),
        ("tfds:../x", "'tfds:../x' does not name a data set"),
    ],
)
def test_an_unknown_source_is_refused_with_a_hint(source: str, expected: str) -> None:
    """A typing error is answered with the closest name and the possible ones."""
    with pytest.raises(SourceError) as caught:
        select.kind(source)
    assert expected in str(caught.value)


def test_names_are_short_and_safe(tmp_path: Path) -> None:
    """A model is registered under the source's name, in small letters, digits, - and _."""
    for folder in ("My Cats & Dogs!", "Größe", "数字", "文字"):
        (tmp_path / folder).mkdir()
    sources = ["mnist", "digits", "tfds:fashion_mnist", "tfds:emnist/letters", "tfds:mnist:3.0.1"]
    names = [select.name(Ingest(source=source)) for source in sources]
    assert names == ["mnist", "digits", "fashion_mnist", "emnist-letters", "mnist"]
    assert select.name(Ingest(source=f"{tmp_path}/My Cats & Dogs!/")) == "my-cats-dogs"
    assert select.name(Ingest(source=f"{tmp_path}/Größe")) == "groe"
    others = {select.name(Ingest(source=f"{tmp_path}/{folder}")) for folder in ("数字", "文字")}
    assert len(others) == 2
    assert all(name.startswith("images-") for name in others)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("sign/Dataset", "sign"),
        ("ants/train", "ants"),
        ("flowers/data/Training Set", "flowers"),
        ("Data-Set/images", "images"),
        ("dataset-v2", "dataset-v2"),
        ("birds.zip", "birds"),
        ("sign/archive.tar.gz", "sign"),
        ("HOME/ada/pictures", "pictures"),
        ("HOME/ada/pictures/animals", "animals"),
        ("home/bob/images", "images"),
    ],
)
def test_the_name_is_that_of_the_folder_that_means_something(
    monkeypatch: pytest.MonkeyPatch, folder: str, expected: str
) -> None:
    """Not of one that is called like thousands of others, nor of a user; where nothing means anything, of itself."""
    monkeypatch.setattr(Path, "home", lambda: Path("/HOME/ada"))
    assert naming.source_name(Path("/") / folder) == expected


def test_the_name_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    """Equal images of two projects, both in a folder "train", are two artifacts: each holds its name."""
    sources = [tmp_path / name / "train" for name in ("ants", "bees")]
    for source in sources:
        for name in ("a", "b"):
            (source / name).mkdir(parents=True)
            (source / name / "x.png").write_bytes(b"x")
        assert select.name(Ingest(source=str(source))) == source.parent.name
    assert len({select.fingerprint(Ingest(source=str(source)), tmp_path / "cache") for source in sources}) == 2


def test_every_module_is_a_source() -> None:
    """Each module of the folder offers what SourceModule says, and stands in the lists of names."""
    for module in select.modules():
        source = select._load(module)
        assert all(callable(getattr(source, name)) for name in ("serves", "fingerprint", "read"))
        assert source.SOURCE == select.FOLDER or source.SOURCE in select.names()
        assert source.SOURCE == select.FOLDER or source.SOURCE in select.expected()


def test_names_are_distinguished_from_folders() -> None:
    """A folder need not exist to be none of the names: compose mounts it, and Airflow watches it."""
    assert all(map(select.is_name, ("auto", "mnist", "digits", "tfds:fashion_mnist")))
    assert not any(map(select.is_name, ("", "folder", "idx", "/data/images", "a:b", "tfds")))


def test_a_source_that_is_not_auto_is_left_alone() -> None:
    """Nothing is searched for where the source is named."""
    params = Ingest(source="mnist", mirror=NOBODY)
    assert select.choose(params) == (params, "")


def test_auto_selects_mnist_where_it_is_available(tmp_path: Path) -> None:
    """With the four files in data_dir, auto is mnist, without a notice."""
    params = Ingest(data_dir=str(idx_files.write(tmp_path)))
    chosen, notice = select.choose(params)
    assert (chosen.source, chosen.data_dir, notice) == ("mnist", params.data_dir, "")


def test_auto_falls_back_to_digits_and_says_so(tmp_path: Path) -> None:
    """Without MNIST and without a network, auto is digits, with a notice that names the ways to the real data."""
    chosen, notice = select.choose(Ingest(mirror=NOBODY, tfds_dir=str(tmp_path)))
    assert chosen.source == "digits"
    assert len(notice.splitlines()) > 5
    for word in ("NOT MNIST", "MNIST_DIR", "SOURCE=mnist", "ingest.mirror", "digits-classifier", NOBODY):
        assert word in notice


def test_auto_does_not_hide_a_folder_that_lacks_a_file(tmp_path: Path) -> None:
    """Where a folder for MNIST is set, a file missing there is an error, not a reason for digits."""
    folder = idx_files.write(tmp_path)
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(SourceError, match="no train-labels-idx1-ubyte"):
        select.choose(Ingest(data_dir=str(folder)))


@pytest.mark.parametrize("source", ["mnist", "digits", "tfds:mnist", "IDX", "IMAGES"])
def test_a_fingerprint_loads_nothing_heavy(tmp_path: Path, source: str) -> None:
    """A run with nothing to do needs it: not even NumPy is imported."""
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / "IMAGES" / name).mkdir(parents=True)
        Image.new("L", (2, 2)).save(tmp_path / "IMAGES" / name / "x.png")
    idx_files.write(tmp_path / "IDX")
    code = """
import sys
from pathlib import Path
from components.ingest import select
from components.settings.sections import Ingest
print(select.fingerprint(Ingest(source=sys.argv[1]), Path("cache")))
heavy = {"numpy", "PIL", "sklearn", "tensorflow", "tensorflow_datasets", "mlflow"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, source],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 10


def test_the_split_by_content_is_fixed() -> None:
    """The first digits of the hash decide, in every process and on every machine."""
    below, above = "7fff".ljust(64, "0"), "8000".ljust(64, "0")
    drawn = SplitByContent(0.5)
    assert (drawn.split(below), drawn.split(above)) == ("test", "train")
    assert SplitByContent(0.9999).split("f" * 64) == "train"


@pytest.mark.parametrize("source", ["x" * 300, "/" + "x" * 300, "a/" * 3000])
def test_a_name_that_no_file_can_have_is_no_source(source: str) -> None:
    """A list of files, or a whole text, in the place of the folder."""
    with pytest.raises(SourceError, match="cannot be read: File name too long; expected a folder"):
        select.kind(source)


@pytest.mark.parametrize(
    ("source", "setting", "value"),
    [
        ("digits", "test_share", 0.3),
        ("digits", "labels", "labels.csv"),
        ("mnist", "file_column", "name"),
        ("mnist", "split_column", "none"),
        ("tfds:fashion_mnist", "label_column", "class"),
    ],
)
def test_a_setting_that_a_source_cannot_use_is_refused(source: str, setting: str, value: object) -> None:
    """It would ingest the same images again; a folder can use every setting."""
    (problem,) = select.unused_settings(Ingest(source=source, **{setting: value}))  # type: ignore[arg-type]
    assert problem.startswith(f"ingest.{setting} is {value}, which the source {source} cannot use; leave it at ")
    assert select.unused_settings(Ingest(source=str(ROOT), **{setting: value})) == []  # type: ignore[arg-type]


def test_tensorflow_datasets_draws_a_test_split_where_a_set_has_none() -> None:
    """So its size can be set."""
    assert select.unused_settings(Ingest(source="tfds:stanford_dogs", test_share=0.3)) == []
