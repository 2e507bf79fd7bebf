"""The promotion log: appended to, read back, repaired after a crash, and replayed."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from components.errors import ArtifactCorrupt
from components.registry.promotion_log import (
    Action,
    Champion,
    append,
    champion_history,
    person,
    promotion,
    read,
    rolled_back,
)


def make_champion(log: Path, action: Action, before: str | None, after: str, name: str = "m") -> None:
    old = Champion(before, f"d{before}") if before else Champion.of(None)
    append(log, promotion(name, action, old, Champion(after, f"d{after}"), "because", "ada@desk"))


def test_a_line_says_who_when_from_to_and_why(tmp_path: Path) -> None:
    """What is appended is read back, one JSON object a line, with its time in UTC."""
    log = tmp_path / "new" / "promotions.jsonl"
    after = Champion("1", "d1")
    written = promotion("m", "promote", Champion.of(None), after, "there was no champion", person(), {"n": 3})
    append(log, written)
    assert read(log) == [written]
    line = json.loads(log.read_text())
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line == {
        "who": person(),
        "name": "m",
        "action": "promote",
        "from": None,
        "from_digest": "",
        "to": "1",
        "digest": "d1",
        "reason": "there was no champion",
        "comparison": {"n": 3},
    }


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """Before the first promotion there is nothing to read."""
    assert read(tmp_path / "promotions.jsonl") == []


def test_models_do_not_mix(tmp_path: Path) -> None:
    """One log holds the promotions of every model; they are read for one of them."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    make_champion(log, "promote", None, "7", name="other")
    assert [p.version for p in read(log, "m")] == ["1"]
    assert [p.version for p in read(log)] == ["1", "7"]


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_torn_last_line_is_skipped_and_removed(tmp_path: Path, cut: int) -> None:
    """A crash in the middle of writing leaves the earlier lines readable and the log fit to be appended to."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    whole = log.read_bytes()
    make_champion(log, "promote", "1", "2")
    log.write_bytes(log.read_bytes()[:-cut])
    assert [p.version for p in read(log)] == ["1"]
    make_champion(log, "promote", "1", "3")
    assert [p.version for p in read(log)] == ["1", "3"]
    assert log.read_bytes().startswith(whole)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """A line in the middle that is no promotion is an error with its number and text."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    log.write_text(log.read_text() + "rubbish\n")
    make_champion(log, "promote", "1", "2")
    with pytest.raises(ArtifactCorrupt, match=r"line 2 of the promotion log .*rubbish"):
        read(log)
    log.write_text("[1]\n")
    with pytest.raises(ArtifactCorrupt, match="line 1"):
        read(log)


def test_several_processes_append_whole_lines(tmp_path: Path) -> None:
    """Lines of processes that write at once are never mixed."""
    log = tmp_path / "log"
    code = (
        "import sys; from pathlib import Path\n"
        "from components.registry.promotion_log import Champion, append, promotion\n"
        "for i in range(40):\n"
        "    line = promotion('m', 'force', Champion.of(None), Champion(str(i), 'd'), 'x' * 3000, 'w')\n"
        "    append(Path(sys.argv[1]), line)"
    )
    command = [sys.executable, "-c", code, str(log)]
    for process in [subprocess.Popen(command, cwd=Path(__file__).parents[3], env=os.environ) for _ in range(3)]:
        assert process.wait() == 0
    assert len(read(log)) == 120


def test_rollbacks_undo_promotions(tmp_path: Path) -> None:
    """The champions that can be restored are a stack: a promotion pushes, a rollback pops."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    make_champion(log, "promote", "1", "2")
    make_champion(log, "promote", "2", "3")
    assert champion_history(read(log)) == [("1", "d1"), ("2", "d2"), ("3", "d3")]
    make_champion(log, "rollback", "3", "2")
    assert champion_history(read(log)) == [("1", "d1"), ("2", "d2")]
    make_champion(log, "force", "2", "4")
    make_champion(log, "rollback", "4", "2")
    make_champion(log, "rollback", "2", "1")
    assert champion_history(read(log)) == [("1", "d1")]
    make_champion(log, "recovered", "1", "5")
    assert champion_history(read(log)) == [("1", "d1"), ("5", "d5")]


def test_a_version_that_was_champion_twice_is_restored_twice(tmp_path: Path) -> None:
    """A manual promotion of a former champion is an entry of its own."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    make_champion(log, "promote", "1", "2")
    make_champion(log, "force", "2", "1")
    assert champion_history(read(log)) == [("1", "d1"), ("2", "d2"), ("1", "d1")]
    make_champion(log, "rollback", "1", "2")
    assert champion_history(read(log)) == [("1", "d1"), ("2", "d2")]


def test_a_model_that_was_rolled_back_stays_so_until_it_is_promoted_manually(tmp_path: Path) -> None:
    """The log knows these models by sha256, even when the registry has lost them."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    make_champion(log, "promote", "1", "2")
    make_champion(log, "rollback", "2", "1")
    assert {sha256: p.reason for sha256, p in rolled_back(read(log)).items()} == {"d2": "because"}
    make_champion(log, "force", "1", "2")
    assert rolled_back(read(log)) == {}
