"""FILE.partial: what an interrupted run left is gone on with, or refused in a sentence."""

import fcntl
from pathlib import Path

import pytest

from components.errors import ConfigError
from pipeline.prediction.journal import Answering, opened
from pipeline.prediction.reading import Name
from pipeline.prediction.rows import Guess, Row

ANSWERING = Answering("digits", "3", "abc", 1)
NAMES = [Name("a.png"), Name("b.png"), Name("images", 0), Name("images", 1)]
ROWS = [
    Row("a.png", None, [Guess("7", 0.5)]),
    Row("b.png", None, [], "empty"),
    Row("images", 0, [Guess("1", 1.0)]),
    Row("images", 1, [Guess("2", 0.25)]),
]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@pytest.fixture
def partial(target: Path) -> Path:
    """What a run left that was killed after two rows."""
    with opened(target, ANSWERING, resume=False) as journal:
        journal.append(ROWS[:2])
    return target.with_name("rows.csv.partial")


def test_a_run_goes_on_after_the_last_row(target: Path, partial: Path) -> None:
    """No row is there twice, and those with an error are counted over both runs."""
    with opened(target, ANSWERING, resume=True) as journal:
        assert journal.resumed(NAMES) == 2
        journal.append(ROWS[2:])
        assert list(journal.rows()) == ROWS
        assert (journal.count, journal.errors) == (4, 1)
        journal.discard()
    assert not partial.exists()


def test_resume_begins_where_nothing_was_left(target: Path) -> None:
    """A supervisor repeats one command, whatever happened before."""
    with opened(target, ANSWERING, resume=True) as journal:
        assert journal.resumed(NAMES) == 0


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_row_that_was_cut_off_is_dropped(target: Path, partial: Path, cut: int) -> None:
    """Wherever the process was killed; what is appended then begins a line."""
    partial.write_bytes(partial.read_bytes()[:-cut])
    with opened(target, ANSWERING, resume=True) as journal:
        assert journal.resumed(NAMES) == 1
        journal.append(ROWS[1:])
        assert list(journal.rows()) == ROWS


def test_a_head_that_was_cut_off_is_refused(target: Path, partial: Path) -> None:
    """A full disk, in the first moment."""
    partial.write_bytes(partial.read_bytes()[:10])
    with pytest.raises(ConfigError, match=r"rows\.csv\.partial is no file of rows .+; delete it to begin again"):
        reopen(target)


def reopen(target: Path, answering: Answering = ANSWERING, names: list[Name] = NAMES) -> None:
    with opened(target, answering, resume=True) as journal:
        journal.resumed(names)


@pytest.mark.parametrize(
    "answering",
    [Answering("other", "3", "abc", 1), Answering("digits", "4", "abc", 1), Answering("digits", "3", "abc", 2)],
)
def test_rows_of_another_model_are_never_mixed(target: Path, partial: Path, answering: Answering) -> None:
    """The champion may have changed while nothing ran; nor do the columns change in the middle."""
    sentence = r"was begun by version 3 of digits with --top 1, and this is version \d of \w+ with --top \d; delete it"
    with pytest.raises(ConfigError, match=sentence):
        reopen(target, answering)


def test_other_pictures_are_refused(target: Path, partial: Path) -> None:
    """The row where they differ is named."""
    with pytest.raises(ConfigError, match=r"has b\.png in row 2, where images\[0\] comes now; delete it"):
        reopen(target, names=[NAMES[0], *NAMES[2:]])
    with pytest.raises(ConfigError, match=r"has b\.png in row 2, where nothing comes now"):
        reopen(target, names=NAMES[:1])


def test_a_damaged_row_is_named(target: Path, partial: Path) -> None:
    """A power failure may leave zeros."""
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(lines[0] + b"\0\0\0\n" + lines[2])
    with pytest.raises(ConfigError, match="is damaged in line 2"):
        reopen(target)


def test_what_was_left_is_not_lost_without_resume(target: Path, partial: Path) -> None:
    """Hours of work may be in it."""
    before = partial.read_bytes()
    with (
        pytest.raises(ConfigError, match="left by an interrupted run: resume that with --resume, or delete it"),
        opened(target, ANSWERING, resume=False),
    ):
        pass
    assert partial.read_bytes() == before


def test_a_run_that_was_killed_after_its_file_was_whole_ends_at_once(target: Path, partial: Path) -> None:
    """FILE is there, and so is what it was made of."""
    target.write_text("whole")
    with opened(target, ANSWERING, resume=True) as journal:
        assert journal.resumed(NAMES[:2]) == 2


def test_two_processes_do_not_write_one_file(target: Path, partial: Path) -> None:
    """The second one says so."""
    with partial.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process writes to"):
            reopen(target)


def test_names_that_are_no_utf8_are_found_again(target: Path) -> None:
    """Rows have them in letters."""
    with opened(target, ANSWERING, resume=True) as journal:
        journal.append([Row("caf\\xe9.png", None, [Guess("7", 0.5)])])
    with opened(target, ANSWERING, resume=True) as journal:
        assert journal.resumed([Name("caf\udce9.png")]) == 1
