"""What a run says has changed in a folder of images."""

from pathlib import Path

import pytest

from pipeline.changes import LabelledFile, differences, differing
from pipeline.cli.main import main
from tests.support.noise_pictures import png, write_classes

THEN = {"a/1": LabelledFile("x", "a"), "a/2": LabelledFile("y", "a"), "b/1": LabelledFile("z", "b")}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (THEN, {}),
        (THEN | {"b/2": LabelledFile("w", "b"), "b/3": LabelledFile("x", "a")}, {"added": 2}),
        ({"a/1": THEN["a/1"]}, {"removed": 2}),
        ({**THEN, "a/1": LabelledFile("new", "a")}, {"replaced": 1}),
        ({**THEN, "a/1": LabelledFile("x", "b")}, {"relabelled": 1}),  # in a table of labels
        ({"b/9": LabelledFile("x", "b"), "a/2": THEN["a/2"], "b/1": THEN["b/1"]}, {"relabelled": 1}),
        ({"a/9": LabelledFile("x", "a"), "a/2": THEN["a/2"], "b/1": THEN["b/1"]}, {"renamed": 1}),
        (
            {"b/9": LabelledFile("x", "b"), "a/2": THEN["a/2"], "n": LabelledFile("n", "a")},
            {"added": 1, "removed": 1, "relabelled": 1},
        ),
    ],
)
def test_files_are_compared_by_path_content_and_label(now: dict[str, LabelledFile], expected: dict[str, int]) -> None:
    """A file that moved to another class is relabelled, neither added nor removed."""
    counts = differences(*differing(sorted(THEN.items()), sorted(now.items())))
    assert {what: count for what, count in counts.items() if count} == expected
    assert counts == differences(THEN, now)


def test_only_files_that_differ_are_kept() -> None:
    """Of a million there are few."""
    now = {"a/0": LabelledFile("u", "a"), "a/1": THEN["a/1"], "a/2": LabelledFile("y", "b"), "c/1": THEN["b/1"]}
    before, after = differing(sorted(THEN.items()), sorted(now.items()))
    assert before == {path: THEN[path] for path in ("a/2", "b/1")}
    assert after == {path: now[path] for path in ("a/0", "a/2", "c/1")}


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
