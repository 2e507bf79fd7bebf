"""What commands print: names as they are, answers that programs can read, and one sentence where nobody can."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from pipeline.cli import output
from pipeline.cli.main import main
from pipeline.cli.output import print_json, print_table


def test_square_brackets_in_a_name_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor are the names of emoji."""
    names = ["[bold]cats[/bold]", "[/]", ":dog:", "[link=http://x]y"]
    print_table(("name",), [(name,) for name in names])
    assert [line.strip() for line in capsys.readouterr().out.split("\n") if line.strip()][2:] == names


@pytest.mark.parametrize("rows", [[], [("", "")], [("a", "of two words"), ("longer", "")], [("x" * 150, "y" * 80)]])
def test_a_long_table_looks_like_a_drawn_one(rows: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    """Plain cells that fit beside each other are put there without Rich; others wrap."""
    print_table(("name", ""), rows)
    printed = capsys.readouterr().out
    assert printed == output._drawn(("name", ""), rows) + "\n"


def test_a_table_of_plain_cells_takes_no_rich(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rich takes longer for a thousand rows than all else."""
    monkeypatch.setitem(sys.modules, "rich", None)
    print_table(("name",), [("cat",)])
    assert "cat" in capsys.readouterr().out


def test_a_name_that_is_no_utf_8_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """In a table and in JSON alike, which every reader takes."""
    name = os.fsdecode(b"photos-\xe9")
    print_table(("name",), [(name,)])
    assert "photos-\\xe9" in capsys.readouterr().out
    print_json({"source": name})
    assert json.loads(capsys.readouterr().out) == {"source": "photos-\\xe9"}


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"], ["runs"], ["runs", "--json"], ["--help"]])
def test_an_answer_that_cannot_be_written_is_a_failure(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, with exit status 1: the program that reads it must not take it for the whole answer."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(arguments) == 1
        monkeypatch.undo()
    error = "error: the answer cannot be written to standard output (No space left on device)\n"
    assert capsys.readouterr().err == error


def test_a_reader_that_has_left_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`| head` has what it wanted."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as left:
        monkeypatch.setattr("sys.stdout", left)
        assert main(["settings"]) == 0
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_the_settings_hide_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address with a login is printed without it, by each command alike."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    mirror = ["--source", "mnist", "--set", "ingest.mirror=http://user:secret@host/"]
    for arguments in (["settings"], ["settings", "--json"], ["explain", "--json"]):
        assert main([*arguments, *mirror]) == 0
        printed = capsys.readouterr()
        assert "secret" not in printed.out + printed.err


def test_a_table_is_drawn_with_what_the_encoding_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines in ASCII where standard output takes nothing else; names in letters."""
    answer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(answer, "ascii", errors="backslashreplace"))
    print_table(("name",), [("Hähne",)])
    printed = answer.getvalue().decode("ascii")
    monkeypatch.undo()
    assert "u2500" not in printed
    assert "H\\xe4hne" in printed
