"""predict: class and probability of each picture, tables that can be resumed, and a sentence for what goes wrong."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.data.splits import Images, Split
from pipeline.cli.main import main
from pipeline.prediction.journal import Answering, opened
from pipeline.prediction.rows import Guess, Row
from tests.conftest import CLEAN, ROOT, command
from tests.support import idx_files, published_model
from tests.support.published_model import CLASSES, NAME
from tests.support.small_disk import disk

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a champion that tells dark from bright."""
    for name in set(os.environ) - set(CLEAN):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    published_model.champion(tmp_path / "home")
    return tmp_path / "home"


def picture(path: Path, level: int, mode: str = "L", size: tuple[int, int] = (6, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).convert(mode).save(path)
    return path


def answers(capsys: Capture, *arguments: object, status: int = 0) -> tuple[list[str], str]:
    """The lines on standard output, and standard error, of `predict ARGUMENTS`."""
    assert main(["predict", *map(str, arguments)]) == status
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_a_picture_gets_its_class_and_probability(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """And standard error says by which model, how good that is, and where the time went."""
    lines, err = answers(capsys, picture(tmp_path / "w.png", 255))
    assert lines == [f"{tmp_path}/w.png: bright (100.00 %)"]
    assert "1 image in" in err
    assert "version 1 of brightness, accuracy 75.00 %" in err


def test_several_classes_are_shown_with_top(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """No more than there are."""
    lines, _ = answers(capsys, picture(tmp_path / "g.png", 130), "--top", 9)
    assert lines == [f"{tmp_path}/g.png: bright (68.66 %), dark (31.34 %), never (0.00 %)"]


def test_a_folder_is_answered_at_any_depth_in_the_order_of_ingest(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """Numbers by value and before words; hidden files, system files and others are left out; links may go round."""
    for path in ("10/a.png", "2/b.JPG", "2/a.png", "cat/deep/x.bmp", "cat/y.png", "top.png", ".hidden/h.png"):
        picture(tmp_path / "in" / path, 0)
    (tmp_path / "in/2/Thumbs.db").touch()
    (tmp_path / "in/labels.csv").touch()
    (tmp_path / "in/cat/round").symlink_to(tmp_path / "in")
    lines, _ = answers(capsys, tmp_path / "in")
    found = [line.partition(":")[0].removeprefix(f"{tmp_path}/in/") for line in lines]
    assert found == ["top.png", "2/a.png", "2/b.JPG", "10/a.png", "cat/y.png", "cat/deep/x.bmp"]


def test_a_file_that_cannot_be_read_is_a_row_and_the_rest_is_answered(
    home: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Exit status 1; the reason in the row, the number on standard error."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_text("<html>")
    os.mkfifo(tmp_path / "in/b.png")
    picture(tmp_path / "in/c.png", 255)
    Image.new("1", (12_000, 12_000)).save(tmp_path / "in/d.png")
    lines, err = answers(capsys, tmp_path / "in", status=1)
    assert [line.removeprefix(f"{tmp_path}/in/") for line in lines] == [
        "a.png: error: a web page",
        "b.png: error: not a regular file",
        "c.png: bright (100.00 %)",
        "d.png: error: 12,000 x 12,000 pixels; expected at most 100,000,000",
    ]
    assert "cannot be read: 3 of 4 pictures" in err


def test_paths_are_read_from_standard_input(
    home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One a line; one that is gone is a row."""
    paths = [picture(tmp_path / "a b.png", 0), tmp_path / "gone.png", picture(tmp_path / "c.png", 255)]
    listing = tmp_path / "listing"
    listing.write_text("\n".join(map(str, paths)) + "\n\n")
    with listing.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        lines, _ = answers(capsys, "-", status=1)
    assert [line.partition(": ")[2] for line in lines] == [
        "dark (100.00 %)",
        "error: no such file or directory",
        "bright (100.00 %)",
    ]


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "anything"])
def test_an_idx_file_is_answered_image_by_image(home: Path, tmp_path: Path, capsys: Capture, name: str) -> None:
    """Packed or not, known by its content."""
    import gzip

    images = np.stack([np.full((4, 4), level, np.uint8) for level in (0, 255, 10)])
    content = idx_files.idx(images)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    lines, _ = answers(capsys, tmp_path / name)
    assert [line.removeprefix(f"{tmp_path}/{name}") for line in lines] == [
        "[0]: dark (100.00 %)",
        "[1]: bright (100.00 %)",
        "[2]: dark (100.00 %)",
    ]


@pytest.mark.parametrize(
    ("shape", "mode", "sentence"),
    [
        ((4, 4, 1), "RGB", "converted from colour to grey, as the model takes them: 2 of 3 pictures"),
        ((4, 4, 3), "L", "converted from grey to colour, as the model takes them: 2 of 3 pictures"),
    ],
)
def test_pictures_of_another_kind_are_converted_and_that_is_said_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    shape: Sequence[int],
    mode: str,
    sentence: str,
) -> None:
    """Grey for colour, and back."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    published_model.champion(tmp_path, shape)
    others = [picture(tmp_path / "in" / f"{number}.png", 255, mode) for number in range(2)]
    _, err = answers(capsys, *others, picture(tmp_path / "in/same.png", 0, "RGB" if shape[2] == 3 else "L"))
    assert err.count("converted") == 1
    assert sentence in err


def test_an_idx_file_of_another_size_and_kind_is_resized_and_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """As ingest would have done it."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    published_model.champion(tmp_path, (4, 4, 3))
    levels = np.array([0, 255], np.uint8)
    (tmp_path / "images").write_bytes(idx_files.idx(np.broadcast_to(levels[:, None, None], (2, 9, 7)).copy()))
    lines, err = answers(capsys, tmp_path / "images")
    assert [line.partition(": ")[2] for line in lines] == ["dark (100.00 %)", "bright (100.00 %)"]
    assert "converted from grey to colour, as the model takes them: 2 of 2 pictures" in err


def test_a_name_that_is_no_utf8_is_shown_in_letters(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """In lines, JSON and tables; a table of them is resumed, too."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    picture(tmp_path / "a.png", 255).rename(path)
    shown = f"{tmp_path}/caf\\xe9.png"
    assert answers(capsys, path)[0] == [f"{shown}: bright (100.00 %)"]
    assert json.loads("\n".join(answers(capsys, path, "--json")[0]))["rows"][0]["file"] == shown
    answers(capsys, path, "--csv", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text().splitlines()[1].startswith(f"{shown},")


def test_json_is_one_object(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """With the model, a row for each picture, and how many there are."""
    (tmp_path / "bad.png").write_text("no picture")
    good = picture(tmp_path / "good.png", 255)
    lines, _ = answers(capsys, good, tmp_path / "bad.png", "--json", "--top", 2, status=1)
    top = [{"class": "bright", "probability": 1.0}, {"class": "dark", "probability": 0.0}]
    assert json.loads("\n".join(lines)) == {
        "model": NAME,
        "version": "1",
        "rows": [
            {"file": str(good), "class": "bright", "probability": 1.0, "top": top},
            {"file": str(tmp_path / "bad.png"), "error": "not an image"},
        ],
        "images": 1,
        "errors": 1,
    }


def test_json_is_one_object_over_several_blocks(
    home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is printed as the rows come."""
    monkeypatch.setattr("pipeline.prediction.reading.JOB_FILES", 2)
    for number in range(5):
        picture(tmp_path / f"in/{number}.png", 0)
    lines, _ = answers(capsys, tmp_path / "in", "--json")
    document = json.loads("\n".join(lines))
    assert [Path(row["file"]).name for row in document["rows"]] == [f"{number}.png" for number in range(5)]


def test_a_table_has_a_column_for_each_class_that_is_asked_for(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """CSV and Parquet hold the same."""
    from pyarrow import parquet

    (tmp_path / "bad.png").write_text("no picture")
    inputs = [picture(tmp_path / 'a "b",\n.png', 120), tmp_path / "bad.png"]
    answers(capsys, *inputs, "--top", 2, "--csv", tmp_path / "rows.csv", status=1)
    answers(capsys, *inputs, "--top", 2, "--parquet", tmp_path / "rows.parquet", status=1)
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "file": str(inputs[0]),
            "index": "",
            "class": "dark",
            "probability": "0.913168",
            "class_2": "bright",
            "probability_2": "0.086832",
            "error": "",
        },
        dict.fromkeys(rows[0], "") | {"file": str(inputs[1]), "error": "not an image"},
    ]
    table = parquet.read_table(tmp_path / "rows.parquet")
    typed = table.to_pylist()
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in typed] == rows
    assert sorted(path.name for path in tmp_path.iterdir() if "rows" in path.name) == ["rows.csv", "rows.parquet"]


def test_the_answers_are_those_of_the_model(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """In order, whatever the number of pictures and processes."""
    images = np.random.default_rng(0).integers(0, 256, (600, 4, 4), np.uint8)
    for number, image in enumerate(images):
        path = tmp_path / f"in/{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "images").write_bytes(idx_files.idx(images))
    answers(capsys, tmp_path / "in", "--csv", tmp_path / "files.csv")
    answers(capsys, tmp_path / "images", "--csv", tmp_path / "idx.csv")
    expect_answers(tmp_path / "files.csv", images[..., None])
    expect_answers(tmp_path / "idx.csv", images[..., None])


def expect_answers(file: Path, images: Images) -> None:
    """The class and probability in each row of *file* are those that the model has for *images*."""
    probabilities = published_model.expected(images)
    with file.open(newline="") as rows:
        for row, expected in zip(csv.DictReader(rows), probabilities, strict=True):
            assert row["class"] == CLASSES[expected.argmax()]
            assert float(row["probability"]) == pytest.approx(expected.max(), abs=1e-5)


def test_a_file_that_is_there_is_not_overwritten(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """Nor anything else that is in the way."""
    (tmp_path / "rows.csv").write_text("mine")
    _, err = answers(capsys, picture(tmp_path / "a.png", 0), "--csv", tmp_path / "rows.csv", status=2)
    assert f"{tmp_path}/rows.csv exists; name another file, or delete it" in err
    assert (tmp_path / "rows.csv").read_text() == "mine"
    _, err = answers(capsys, tmp_path / "a.png", "--csv", tmp_path / "no/rows.csv", status=1)
    assert f"{tmp_path}/no/rows.csv cannot be written (No such file or directory); name a file that can" in err


def test_a_killed_run_is_resumed(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """SIGKILL in the middle: no row is there twice, none is missing, and most were not computed again."""
    images = np.random.default_rng(0).integers(0, 256, (400, 4, 4), np.uint8)
    (tmp_path / "in").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"in/{number:03}.png")
    program = (
        "import os, signal, sys; from pipeline.prediction import journal, reading; from pipeline.cli.main import main\n"
        "append, reading.JOB_FILES = journal.Journal.append, 50\n"
        "def killed(self, rows):\n"
        "    append(self, rows)\n"
        "    if self.count >= 150: os.kill(os.getpid(), signal.SIGKILL)\n"
        "journal.Journal.append = killed\n"
        "main(sys.argv[1:])"
    )
    arguments = ["predict", str(tmp_path / "in"), "--csv", str(tmp_path / "rows.csv")]
    environment = {**CLEAN, "PIPELINE_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.glob("*rows*")) == ["rows.csv.partial"]
    _, err = answers(capsys, *arguments[1:], "--resume")
    assert "150 of 400 rows are there already" in err
    expect_answers(tmp_path / "rows.csv", images[..., None])
    assert not (tmp_path / "rows.csv.partial").exists()


def test_an_idx_file_is_resumed(home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a block, and after files."""
    images = np.random.default_rng(0).integers(0, 256, (100, 4, 4), np.uint8)
    (tmp_path / "images").write_bytes(idx_files.idx(images))
    inputs = [tmp_path / "images", tmp_path / "images"]
    monkeypatch.setattr("components.data.pictures.idx_format.BLOCK_BYTES", 30 * 16)
    answers(capsys, *inputs, "--csv", tmp_path / "whole.csv")
    with (tmp_path / "whole.csv").open(newline="") as file:
        known = [
            Row(row["file"], int(row["index"]), [Guess(row["class"], float(row["probability"]))])
            for row in csv.DictReader(file)
        ]
    for rows in (7, 30, 100, 142):
        with opened(tmp_path / "rows.csv", Answering(NAME, "1", "0" * 64, 1), resume=False) as journal:
            journal.append(known[:rows])
        answers(capsys, *inputs, "--csv", tmp_path / "rows.csv", "--resume")
        assert (tmp_path / "rows.csv").read_text() == (tmp_path / "whole.csv").read_text()
        (tmp_path / "rows.csv").unlink()


def test_a_full_disk_ends_in_a_sentence_and_can_be_resumed(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """What was answered is kept."""
    image = picture(tmp_path / "a.png", 0)
    paths = [str(image)] * 2000
    with disk(tmp_path / "small", "64k") as small:
        _, err = answers(capsys, *paths, "--csv", small / "rows.csv", status=1)
        assert f"the disk of {small} is full; free some space, then go on with --resume" in err
        assert [path.name for path in small.iterdir()] == ["rows.csv.partial"]


def test_no_champion_is_a_sentence(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """And so is everything else that the registry may lack."""
    image = picture(tmp_path / "a.png", 0)
    for arguments, sentence in (
        (["--version", "challenger"], "no version of brightness is its challenger; list the versions with"),
        (["--version", "9"], "brightness has no version 9"),
        (["--model", "bright"], "there is no registered model 'bright'; did you mean 'brightness'?"),
        (["--resume"], "--resume goes on with a file; name it with --csv or --parquet"),
        (["--json", "--csv", "x.csv"], "expected one of --json, --csv and --parquet"),
    ):
        _, err = answers(capsys, image, *arguments, status=2)
        assert sentence in err


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "model.tflite").unlink(), "model.tflite cannot be read (No such file"),
        (lambda folder: (folder / "model.tflite").write_bytes(b"none"), "model.tflite was changed: it has sha256"),
        (lambda folder: (folder / "model_info.json").write_text("{}"), "model_info.json was changed: it has sha256"),
    ],
)
def test_a_champion_whose_files_are_gone_or_changed_is_a_sentence(
    home: Path, tmp_path: Path, capsys: Capture, damage: Callable[[Path], object], sentence: str
) -> None:
    """Nothing is answered by another file than the one that was measured."""
    damage(home / "exports" / NAME / "1")
    lines, err = answers(capsys, picture(tmp_path / "a.png", 0), status=1)
    assert not lines
    assert sentence in err
    assert "Traceback" not in err


def test_a_registry_that_is_away_is_a_sentence(
    home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is named by its number needs none, where its files are here."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    image = picture(tmp_path / "a.png", 0)
    for arguments in ([], ["--model", NAME], ["--model", NAME, "--version", "2"]):
        _, err = answers(capsys, image, *arguments, status=1)
        assert "MLflow at http://127.0.0.1:9 did not answer" in err
        assert "or name files that are here with --model NAME --version NUMBER" in err
    lines, err = answers(capsys, image, "--model", NAME, "--version", "1")
    assert lines == [f"{image}: dark (100.00 %)"]
    assert f"the files in {home}/exports/brightness/1 are used as they are" in err


def test_tensorflow_is_not_loaded(home: Path, tmp_path: Path) -> None:
    """Nor Keras, MLflow or pandas, whatever is written: the answer is there within half a second."""
    program = (
        "import sys; from pipeline.cli.main import main; status = main(sys.argv[1:]); "
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'pandas', 'scipy', 'rich', 'matplotlib'} & sys.modules.keys()),"
        " file=sys.stderr); sys.exit(status)"
    )
    file = picture(tmp_path / "a.png", 0)
    for more in ([], ["--json"], ["--csv", tmp_path / "a.csv"], ["--parquet", tmp_path / "a.parquet"]):
        arguments = [sys.executable, "-c", program, "predict", str(file), *map(str, more)]
        environment = {**CLEAN, "PIPELINE_HOME": str(home)}
        done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr.endswith("\n[]\n")


def test_the_answers_are_those_of_evaluate(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    """To 0.0001 for every test image of a real run: as files, as an IDX file, and from files that MLflow has kept."""
    shutil.copytree(finished, tmp_path / "run")
    (split,) = finished.glob("artifacts/normalize/*/test")
    images = Split(split).images()
    (tmp_path / "idx").write_bytes(idx_files.idx(images[..., 0]))
    (tmp_path / "in").mkdir()
    for number, image in enumerate(images[..., 0]):
        Image.fromarray(image).save(tmp_path / f"in/{number:03}.png")
    (measured,) = finished.glob("artifacts/evaluate/*/predictions.npy")
    for source in ("in", "idx"):
        done = command(tmp_path / "run", "predict", str(tmp_path / source), "--top", "10", "--json")
        assert done.returncode == 0, done.stderr
        np.testing.assert_allclose(by_class(done.stdout), np.load(measured), atol=1e-4)
        shutil.rmtree(tmp_path / "run/exports", ignore_errors=True)  # the second time, they are fetched
    assert "fetching the exports of version 1 from MLflow" in done.stderr


def by_class(document: str) -> NDArray[np.float64]:
    """The probabilities in a JSON *document* with every digit, (n, 10)."""
    rows = [{guess["class"]: guess["probability"] for guess in row["top"]} for row in json.loads(document)["rows"]]
    return np.array([[row[str(digit)] for digit in range(10)] for row in rows])
