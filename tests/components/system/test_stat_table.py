"""What is known of files by their status: found again while they stay as they were, and never where it is damaged."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from components.system import stat_table
from components.system.stat_table import StatedFiles, StatTable, Status

OLD = 10**18  # ns: in 2001
FILES = [(f"{name}/{number}.png", Status(5, OLD, OLD, number)) for name in ("a", "b\udcff") for number in range(4)]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatTable:
    """A table of FILES, with the number of each as its value, in groups of three."""
    monkeypatch.setattr(stat_table, "GROUP", 3)
    table = StatTable(tmp_path / "cache" / "known.table")
    table.keep(StatedFiles.of(FILES), (f"value {number}" for number in range(len(FILES))))
    return table


def known(table: StatTable, files: Iterable[tuple[str, Status]] = FILES) -> list[str | None]:
    return list(table.known(StatedFiles.of(files)))


def test_what_is_known_of_a_file_is_found_again(table: StatTable) -> None:
    """In each group, for each byte that a name may have."""
    assert known(table) == [f"value {number}" for number in range(8)]
    assert table.rows == 8


def test_files_that_came_or_went_do_not_hide_the_others(table: StatTable) -> None:
    """Before, between and after those that are known."""
    old = FILES[0][1]
    present = [("0.png", old), *FILES[2:4], ("a/9.png", old), FILES[7], ("z.png", old)]
    assert known(table, present) == [None, "value 2", "value 3", None, "value 7", None]


@pytest.mark.parametrize("field", Status._fields)
def test_another_status_is_unknown(field: str, table: StatTable) -> None:
    """In its size, one of its times or its inode."""
    changed = [(name, status._replace(**{field: 77})) for name, status in FILES]
    assert known(table, changed) == [None] * 8


@pytest.mark.parametrize("field", ["st_mtime_ns", "st_ctime_ns"])
def test_a_file_that_changed_just_now_is_not_kept(field: str, tmp_path: Path) -> None:
    """It may change again within one tick of the clock."""
    fresh = Status(5, OLD, OLD, 1)._replace(**{field: time.time_ns()})
    files, table = [("a", fresh), *FILES[:2]], StatTable(tmp_path / "known.table")
    table.keep(StatedFiles.of(files), ["value", "old", "also old"])
    assert known(table, files) == [None, "old", "also old"]
    assert table.rows == 2


def test_a_file_without_a_value_is_not_kept(tmp_path: Path) -> None:
    """Nor is a group where no file has one."""
    table = StatTable(tmp_path / "known.table")
    for values in (["value 0", None], [None, None]):
        table.keep(StatedFiles.of(FILES[:2]), values)
        assert known(table, FILES[:2]) == values
    assert table.file.read_bytes() == b""


def test_whatever_byte_is_damaged_no_value_is_another(table: StatTable) -> None:
    """The damaged group and those after it are unknown."""
    content = table.file.read_bytes()
    for place in range(len(content)):
        table.file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        found = known(StatTable(table.file))
        whole = found.index(None)
        assert whole % 3 == 0
        assert found == [f"value {number}" for number in range(whole)] + [None] * (8 - whole)


def test_a_file_that_was_cut_gives_its_whole_groups(table: StatTable) -> None:
    """Those before the cut, wherever that is."""
    content = table.file.read_bytes()
    for length in range(len(content)):
        table.file.write_bytes(content[:length])
        found = known(table)
        assert found == [f"value {number}" for number in range(found.index(None))] + [None] * (8 - found.index(None))
