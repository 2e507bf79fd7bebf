"""What a run says has changed in a folder of images."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipeline.changed_files import Files, differences
from pipeline.cli.main import main
from tests.support.noise_pictures import png, write_classes


class LabelledFile(NamedTuple):
    sha256: str
    label: str


THEN = {"a/1": LabelledFile("x", "a"), "a/2": LabelledFile("y", "a"), "b/1": LabelledFile("z", "b")}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (THEN, {}),
        ({}, {"removed": 3}),
        (THEN | {"b/2": LabelledFile("w", "b"), "b/3": LabelledFile("x", "a")}, {"added": 2}),
        ({"a/1": THEN["a/1"]}, {"removed": 2}),
        ({**THEN, "a/1": LabelledFile("new", "a")}, {"replaced": 1}),
        ({**THEN, "a/1": LabelledFile("x", "b")}, {"relabelled": 1}),  # in a table of labels
        ({"b/9": LabelledFile("x", "b"), "a/2": THEN["a/2"], "b/1": THEN["b/1"]}, {"relabelled": 1}),
        ({"a/9": LabelledFile("x", "a"), "a/2": THEN["a/2"], "b/1": THEN["b/1"]}, {"renamed": 1}),
        ({**THEN, "b/2": LabelledFile("z", "b")}, {"added": 1}),  # a copy
        (
            {"a/1": THEN["a/1"], "c/1": LabelledFile("y", "a"), "c/2": LabelledFile("y", "a")},
            {"removed": 1, "renamed": 1, "added": 1},
        ),
        (
            {"b/9": LabelledFile("x", "b"), "a/2": THEN["a/2"], "n": LabelledFile("n", "a")},
            {"added": 1, "removed": 1, "relabelled": 1},
        ),
    ],
)
def test_files_are_compared_by_path_content_and_label(now: dict[str, LabelledFile], expected: dict[str, int]) -> None:
    """A file that moved to another class is relabelled, neither added nor removed."""
    counts = differences(files(THEN), files(now))
    assert {what: count for what, count in counts.items() if count} == expected
    back = differences(files(now), files(THEN))
    assert back == {**counts, "added": counts["removed"], "removed": counts["added"]}


def files(rows: dict[str, LabelledFile]) -> Files:
    """Of the same *rows*, path -> file."""
    columns = [[*rows], [file.sha256 for file in rows.values()], [file.label for file in rows.values()]]
    return Files(*(np.fromiter(map(hash, column), np.int64) for column in columns))


def test_a_run_on_a_changed_folder_says_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against the last run of the same folder; a first run and one that reuses its ingest say nothing."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    folder = write_classes(tmp_path / "pictures")

    def run() -> str:
        assert main(["run", "--source", str(folder), "--until", "ingest"]) == 0
        return "\n".join(line for line in capsys.readouterr().err.splitlines() if "since run" in line)

    assert run() == ""
    assert run() == ""
    (folder / "cats/00.png").unlink()
    (folder / "cats/01.png").rename(folder / "dogs/cat.png")
    for i in range(3):
        (folder / "dogs" / f"new{i}.png").write_bytes(png(i))
    assert run().endswith(": 3 added, 1 removed, 1 relabelled")


@pytest.mark.parametrize("file", ["train/labels.npy", "files.json", "sha256.json", "source.json"])
def test_nothing_is_said_of_a_run_whose_files_are_damaged(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk may have emptied one of them; the run ingests as if there had been none before."""
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "home"))
    folder = write_classes(tmp_path / "pictures")
    assert main(["run", "--source", str(folder), "--until", "ingest"]) == 0
    (damaged,) = (tmp_path / "home" / "artifacts" / "ingest").glob(f"[!.]*/{file}")
    damaged.write_bytes(b"")
    (folder / "dogs" / "new.png").write_bytes(png(0))
    assert main(["run", "--source", str(folder), "--until", "ingest"]) == 0
    assert "since run" not in capsys.readouterr().err
