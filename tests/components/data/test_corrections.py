"""The file of corrections: what its lines mean, and that neither a kill nor a second process harms it."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.corrections import Corrections, append, image_ids, undo
from components.data.image_ids import pixel_ids
from components.data.splits import SplitWriter
from components.errors import DataRejected, StorageFailed
from components.system import locks

A, B = "a" * 64, "b" * 64
CLASSES = ("cat", "dog", "fox")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "corrections" / "pets.jsonl"


def test_there_are_no_corrections_where_there_is_no_file(file: Path) -> None:
    assert Corrections.read(file).effective == {}
    assert Corrections.read(file).digest == ""


def test_decisions_are_read_as_they_were_appended(file: Path) -> None:
    append(file, A, "cat", "dog", who="ann", when="2026-11-27T08:00:00+00:00")
    append(file, B, "cat", None)
    first, second = Corrections.read(file).last(A), Corrections.read(file).last(B)
    assert first
    assert (first.old, first.new, first.who, first.when, first.line) == (
        "cat", "dog", "ann", "2026-11-27T08:00:00+00:00", 1,
    )  # fmt: skip
    assert second
    assert (second.new, second.line) == (None, 2)
    assert Corrections.read(file).effective == {A: {"cat": "dog"}, B: {"cat": None}}


def test_undo_takes_back_the_last_decision_that_is_left(file: Path) -> None:
    append(file, A, "cat", "dog")
    append(file, A, "cat", "fox")
    undo(file, A)
    assert Corrections.read(file).effective == {A: {"cat": "dog"}}
    undo(file, A)
    undo(file, A)
    assert Corrections.read(file).last(A) is None
    assert Corrections.read(file).digest == ""


def test_of_two_decisions_that_disagree_the_last_holds_and_both_are_named(file: Path) -> None:
    append(file, A, "cat", "dog", who="ann")
    append(file, A, "cat", None, who="bob")
    append(file, B, "cat", "dog", who="ann")
    append(file, B, "cat", "dog", who="bob")
    corrections = Corrections.read(file)
    assert corrections.effective == {A: {"cat": None}, B: {"cat": "dog"}}
    assert [[decision.who for decision in group] for group in corrections.disagreeing] == [["ann", "bob"]]


def test_a_decision_about_a_corrected_label_continues_from_it(file: Path) -> None:
    append(file, A, "cat", "dog")
    append(file, A, "dog", "fox")
    assert Corrections.read(file).effective == {A: {"cat": "fox", "dog": "fox"}}
    assert not Corrections.read(file).disagreeing


def test_a_label_that_is_corrected_back_changes_nothing(file: Path) -> None:
    append(file, A, "cat", "dog")
    append(file, A, "dog", "cat")
    assert Corrections.read(file).effective == {A: {"dog": "cat"}}


def test_a_label_that_is_kept_and_a_picture_of_a_user_change_nothing(file: Path) -> None:
    append(file, A, "cat", "cat")
    append(file, B, "cat", "dog", picture=True)
    assert Corrections.read(file).digest == ""
    assert Corrections.read(file).last(A)


def test_the_same_decisions_have_the_same_digest_whoever_took_them_and_in_which_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    append(one, A, "cat", "dog", who="ann")
    append(one, B, "cat", None)
    append(other, B, "cat", None, who="bob")
    append(other, B, "cat", "cat")
    undo(other, B)
    append(other, A, "cat", "dog", when="2027-01-01T00:00:00+00:00")
    assert Corrections.read(one).digest == Corrections.read(other).digest != ""


Decision = tuple[str, str, str | None]
DECISIONS = st.lists(
    st.tuples(st.sampled_from((A, B)), st.sampled_from(CLASSES), st.none() | st.sampled_from(CLASSES)), max_size=8
)


def _line(decision: Decision) -> str:
    image, old, new = decision
    return json.dumps({"sha256": image, "old": old, "new": new}) + "\n"


@given(DECISIONS)
def test_the_last_decision_about_a_label_holds_unless_a_later_one_continues_it(
    tmp_path_factory: pytest.TempPathFactory, decisions: list[Decision]
) -> None:
    file = tmp_path_factory.mktemp("decisions") / "pets.jsonl"
    file.write_text("".join(map(_line, decisions)))
    effective = Corrections.read(file).effective
    for image in (A, B):
        for label in CLASSES:
            of_label = [place for place, d in enumerate(decisions) if d[:2] == (image, label)]
            wanted: str | None = decisions[of_label[-1]][2] if of_label else label
            later = decisions[of_label[-1] + 1 :] if of_label else []
            if not any(d[0] == image and d[1] == wanted for d in later):
                assert effective.get(image, {}).get(label, label) == wanted


@given(DECISIONS, st.integers(0, 2), st.data())
def test_a_line_that_was_cut_short_is_no_decision_and_the_next_one_replaces_it(
    tmp_path_factory: pytest.TempPathFactory, decisions: list[Decision], lost: int, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("torn") / "pets.jsonl"
    whole = "".join(map(_line, decisions))
    line = _line((A, "cat", "dog"))
    part = line[: data.draw(st.integers(1, len(line) - 2))]
    file.write_text(whole + part)
    torn = Corrections.read(file)
    assert torn.torn
    append(file, B, "fox", None, when="x")
    whole_again = Corrections.read(file)
    assert not whole_again.torn
    file.write_text(whole)
    assert torn.effective == Corrections.read(file).effective
    append(file, B, "fox", None, when="x")
    assert whole_again.decisions == Corrections.read(file).decisions


def test_a_long_part_of_a_line_is_replaced_by_a_short_line(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps({"sha256": A, "old": "cat", "new": "dog", "who": "ann" * 100})[:-2])
    append(file, B, "cat", None)
    assert Corrections.read(file).effective == {B: {"cat": None}}
    assert not Corrections.read(file).torn


def test_whoever_appends_waits_for_the_one_who_is_writing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(file, A, "cat", "dog")
    waits = threading.Event()
    monkeypatch.setattr(locks, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(locks, "say", lambda _: waits.set())
    with ThreadPoolExecutor() as pool, file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writing = pool.submit(append, file, B, "cat", "dog")
        assert waits.wait(60)
        assert held.read().count(b"\n") == 1
        fcntl.flock(held, fcntl.LOCK_UN)
        writing.result(60)
    assert Corrections.read(file).last(B)


def test_a_last_line_that_lacks_only_its_newline_is_a_decision_and_stays_one(file: Path) -> None:
    append(file, A, "cat", "dog")
    file.write_bytes(file.read_bytes()[:-1])
    assert not Corrections.read(file).torn
    append(file, B, "cat", None)
    assert Corrections.read(file).effective == {A: {"cat": "dog"}, B: {"cat": None}}


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "",
        "[" * 100_000,
        "[1]",
        '{"old": "cat", "new": "dog"}',
        '{"sha256": "cat.png", "old": "cat", "new": "dog"}',
        f'{{"sha256": "{A}", "old": "cat"}}',
        f'{{"sha256": "{A}", "new": "cat"}}',
        f'{{"sha256": "{A}", "old": "cat", "new": 3}}',
        f'{{"sha256": "{A}", "old": "", "new": "cat"}}',
        f'{{"sha256": "{A}", "old": "cat", "new": "dog", "who": 3}}',
        f'{{"sha256": "{A}", "undo": "yes"}}',
    ],
)
def test_a_line_that_is_no_decision_is_named_with_its_number(file: Path, line: str) -> None:
    append(file, A, "cat", "dog")
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(DataRejected, match=r"pets\.jsonl, line 2 is .*; expected .* correct or delete the line"):
        Corrections.read(file)


def test_bytes_that_are_no_text_are_named_like_any_other_line(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(DataRejected, match="line 1"):
        Corrections.read(file)


def test_a_folder_or_a_pipe_in_place_of_the_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataRejected, match="cannot be read"):
            Corrections.read(path)


def test_a_class_that_does_not_exist_is_named_with_its_line(file: Path) -> None:
    append(file, A, "cat", "dog")
    append(file, B, "cat", "dgo")
    with pytest.raises(DataRejected, match=r"line 2 corrects a label to 'dgo', which is no class; expected one of cat"):
        Corrections.read(file).require_classes(CLASSES)
    undo(file, B)
    Corrections.read(file).require_classes(CLASSES)


def test_what_is_no_decision_is_not_appended(file: Path) -> None:
    with pytest.raises(DataRejected, match="the new line"):
        append(file, "cat.png", "cat", "dog")
    assert not file.exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "corrections").write_text("")
    with pytest.raises(StorageFailed, match="cannot be written"):
        append(tmp_path / "corrections" / "pets.jsonl", A, "cat", "dog")


FULL = """
import resource, sys
from pathlib import Path
from components.data.corrections import append
from components.errors import StorageFailed
file = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20,) * 2)
try:
    append(file, "b" * 64, "cat", "dog")
except StorageFailed as error:
    print(error)
"""


def test_a_full_disk_keeps_what_was_there_and_says_so(file: Path) -> None:
    """The disk takes twenty bytes of the line: none of them stays."""
    append(file, A, "cat", "dog")
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, check=True)
    assert f"cannot be written to {file} (File too large); nothing was kept" in done.stdout
    assert file.read_bytes() == before


ENDLESS = """
import sys
from pathlib import Path
from components.data.corrections import append
print("started", flush=True)
for number in range(10**6):
    append(Path(sys.argv[1]), f"{number:064x}", "cat", "dog", who=sys.argv[2])
    print(number, flush=True)
"""


def _process(file: Path, who: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", ENDLESS, str(file), who], stdout=subprocess.PIPE, text=True)


def _lines(process: "subprocess.Popen[str]", count: int) -> int:
    """Wait for *count* lines of *process*, the number of decisions that it has appended, and kill it."""
    assert process.stdout
    for _ in range(count + 1):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    return count + len(rest)


def test_two_processes_that_append_at_once_and_are_killed_lose_nothing_that_they_reported(file: Path) -> None:
    processes = {who: _process(file, who) for who in ("ann", "bob")}
    with ThreadPoolExecutor() as pool:
        counts = dict(zip(processes, pool.map(lambda p: _lines(p, 40), processes.values()), strict=True))
    append(file, A, "cat", "dog")
    kept = Corrections.read(file)
    by = [decision.who for of_image in kept.decisions.values() for decision in of_image]
    for who, count in counts.items():
        assert by.count(who) in (count, count + 1)  # one may have been written and not reported
    assert kept.last(A)


def test_the_identity_of_an_image_is_that_of_its_file_or_of_its_pixels(tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4, 1)
    with SplitWriter(tmp_path / "train", (3, 4, 1)) as split:
        split.add(images, np.array([0, 1]))
    assert image_ids(tmp_path, "train") == pixel_ids(images)
    assert pixel_ids(images) != pixel_ids(images.reshape(2, 4, 3, 1))
    (tmp_path / "files.json").write_text('{"train": ["cat/2.png", "cat/1.png"]}')
    (tmp_path / "sha256.json").write_text(json.dumps({"cat/1.png": A, "cat/2.png": B}))
    assert image_ids(tmp_path, "train") == [B, A]
