"""`clean`: which files of a folder it lists, moves and moves back."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.main import main
from pipeline.commands import pipeline_command
from tests.support.noise_pictures import write_classes


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of 80 images with two copies, one of them under another label, and a blank image."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    folder = write_classes(tmp_path / "my pictures")
    (folder / "cats/07 copy.png").write_bytes((folder / "cats/07.png").read_bytes())
    (folder / "dogs/cat.png").write_bytes((folder / "cats/08.png").read_bytes())
    Image.new("L", (8, 8), 9).save(folder / "dogs/blank.png")
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["clean", *arguments]) == 0
    return capsys.readouterr().out


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_are_listed_moved_on_demand_and_moved_back(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --apply nothing moves; the printed command moves the copies and the blank ones, --undo all back."""
    before = files(pictures)
    listed = answer(capsys, "--source", str(pictures))
    assert files(pictures) == before
    assert "duplicates: 1\n  cats/07 copy.png: repeats cats/07.png\n" in listed
    assert "dogs/cat.png: is the same image as cats/08.png, of class 'cats'" in listed
    assert "2 files would be moved (unreadable, duplicates, blank); --only label-conflicts moves the others" in listed
    printed = shlex.split(listed.splitlines()[-1].partition("pipeline clean ")[2])
    moved = answer(capsys, *printed)
    assert before - files(pictures) == {"cats/07 copy.png", "dogs/blank.png"}
    assert files(pictures.with_name("my pictures.removed")) == before - files(pictures)
    answer(capsys, *shlex.split(moved.splitlines()[-1].partition("pipeline clean ")[2]))
    assert files(pictures) == before


def test_a_kind_is_named_in_either_form(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As problems.csv names it, or as clean lists it."""
    answer(capsys, "--source", str(pictures), "--apply", "--only", "label-conflict, blank")
    assert files(pictures.with_name("my pictures.removed")) == {"cats/08.png", "dogs/cat.png", "dogs/blank.png"}
    assert main(["clean", "--source", str(pictures), "--only", "blnk"]) == 2
    assert "--only names 'blnk'; did you mean 'blank'?" in capsys.readouterr().err


def test_unreadable_files_are_listed_with_the_others(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many there are: a run would refuse so many."""
    (pictures / "cats/broken.png").write_bytes(b"no image")
    (pictures / "dogs/torn.png").write_bytes((pictures / "dogs/00.png").read_bytes()[:60])
    listed = answer(capsys, "--source", str(pictures))
    assert "unreadable: 2\n  cats/broken.png: " in listed
    assert "blank: 1\n  dogs/blank.png: " in listed
    answer(capsys, "--source", str(pictures), "--apply")
    removed = {"cats/broken.png", "dogs/torn.png", "cats/07 copy.png", "dogs/blank.png"}
    assert files(pictures.with_name("my pictures.removed")) == removed
    found = json.loads(answer(capsys, "--source", str(pictures), "--json"))
    assert (found["unreadable"], found["blank"]) == ([], [])


def test_a_folder_of_nothing_but_unreadable_files_can_be_cleaned(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else can be said of them."""
    for path in pictures.rglob("*.png"):
        path.write_bytes(b"<html>")
    assert "unreadable: 163\n" in answer(capsys, "--source", str(pictures))


def test_what_rejects_the_images_can_be_moved(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More blank images than validate accepts."""
    for i in range(30):
        Image.new("L", (8, 8), 100 + i).save(pictures / f"cats/blank{i}.png")
    assert "blank: 31\n" in answer(capsys, "--source", str(pictures))


def test_a_folder_that_changed_is_looked_at_again(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is moved has its problem when it is moved, not when it was listed."""
    answer(capsys, "--source", str(pictures))
    (pictures / "cats/07 copy.png").write_bytes((pictures / "cats/09.png").read_bytes())
    moved = answer(capsys, "--source", str(pictures), "--apply", "--json")
    assert json.loads(moved) == {"moved": ["cats/07 copy.png", "dogs/blank.png"], "left": {}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "digits"], "clean moves files of a folder of images, and --source is 'digits'"),
        (["--source", "digits", "--apply", "--undo"], "give one of them"),
    ],
)
def test_other_sources_are_refused(
    arguments: list[str], message: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was expected."""
    assert main(["clean", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_commands_are_quoted() -> None:
    """As a shell reads them."""
    assert pipeline_command("clean", "--source", "my pictures") == "python -m pipeline clean --source 'my pictures'"
