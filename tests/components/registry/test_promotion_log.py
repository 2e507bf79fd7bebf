"""The promotion log: appended to, read back, mended after a crash, and replayed."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from components.errors import ArtifactCorrupt
from components.registry.promotion_log import Action, append, person, read, refused, reigns


def crown(log: Path, action: Action, before: str | None, after: str, name: str = "m") -> None:
    left = (before, f"d{before}") if before else (None, "")
    append(log, name, action, left, (after, f"d{after}"), "because", "ada@desk")


def test_an_entry_tells_who_when_from_to_and_why(tmp_path: Path) -> None:
    """What is appended is read back, one JSON object a line, with its time in UTC."""
    log = tmp_path / "new" / "promotions.jsonl"
    append(log, "m", "promote", (None, ""), ("1", "d1"), "there was no champion", person(), {"n": 3})
    (entry,) = read(log)
    assert json.loads(log.read_text()) == entry
    assert datetime.fromisoformat(entry.pop("time")).utcoffset() is not None
    assert entry == {
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
    """One log holds the promotions of every model; asked for one, it tells of that one."""
    log = tmp_path / "log"
    crown(log, "promote", None, "1")
    crown(log, "promote", None, "7", name="other")
    assert [e["to"] for e in read(log, "m")] == ["1"]
    assert [e["to"] for e in read(log)] == ["1", "7"]


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_torn_last_line_is_passed_over_and_taken_away(tmp_path: Path, cut: int) -> None:
    """A crash in the middle of writing leaves the earlier entries readable and the log fit to be appended to."""
    log = tmp_path / "log"
    crown(log, "promote", None, "1")
    whole = log.read_bytes()
    crown(log, "promote", "1", "2")
    log.write_bytes(log.read_bytes()[:-cut])
    assert [e["to"] for e in read(log)] == ["1"]
    crown(log, "promote", "1", "3")
    assert [e["to"] for e in read(log)] == ["1", "3"]
    assert log.read_bytes().startswith(whole)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """A line in the middle that is no entry is not guessed at: its number and text are told."""
    log = tmp_path / "log"
    crown(log, "promote", None, "1")
    log.write_text(log.read_text() + "rubbish\n")
    crown(log, "promote", "1", "2")
    with pytest.raises(ArtifactCorrupt, match=r"line 2 of the promotion log .*rubbish"):
        read(log)
    log.write_text("[1]\n")
    with pytest.raises(ArtifactCorrupt, match="line 1"):
        read(log)


def test_several_processes_append_whole_lines(tmp_path: Path) -> None:
    """Lines of processes that write at once are never mixed."""
    log = tmp_path / "log"
    code = (
        "import sys; from pathlib import Path; from components.registry.promotion_log import append\n"
        "for i in range(40): append(Path(sys.argv[1]), 'm', 'force', (None, ''), (str(i), 'd'), 'x' * 3000, 'w')"
    )
    command = [sys.executable, "-c", code, str(log)]
    for process in [subprocess.Popen(command, cwd=Path(__file__).parents[3], env=os.environ) for _ in range(3)]:
        assert process.wait() == 0
    assert len(read(log)) == 120


def test_rollbacks_take_promotions_back(tmp_path: Path) -> None:
    """The champions to go back through are a stack: a promotion pushes, a rollback pops."""
    log = tmp_path / "log"
    crown(log, "promote", None, "1")
    crown(log, "promote", "1", "2")
    crown(log, "promote", "2", "3")
    assert reigns(read(log)) == [("1", "d1"), ("2", "d2"), ("3", "d3")]
    crown(log, "rollback", "3", "2")
    assert reigns(read(log)) == [("1", "d1"), ("2", "d2")]
    crown(log, "force", "2", "4")
    crown(log, "rollback", "4", "2")
    crown(log, "rollback", "2", "1")
    assert reigns(read(log)) == [("1", "d1")]
    crown(log, "recovered", "1", "5")
    assert reigns(read(log)) == [("1", "d1"), ("5", "d5")]


def test_a_version_crowned_twice_is_gone_back_through_twice(tmp_path: Path) -> None:
    """A promotion by hand of an old champion is a reign of its own."""
    log = tmp_path / "log"
    crown(log, "promote", None, "1")
    crown(log, "promote", "1", "2")
    crown(log, "force", "2", "1")
    assert reigns(read(log)) == [("1", "d1"), ("2", "d2"), ("1", "d1")]
    crown(log, "rollback", "1", "2")
    assert reigns(read(log)) == [("1", "d1"), ("2", "d2")]


def test_a_model_that_was_rolled_back_stays_refused_until_a_person_crowns_it(tmp_path: Path) -> None:
    """The log knows the models that people left, by digest, even when the registry has forgotten them."""
    log = tmp_path / "log"
    crown(log, "promote", None, "1")
    crown(log, "promote", "1", "2")
    crown(log, "rollback", "2", "1")
    assert {digest: e["reason"] for digest, e in refused(read(log)).items()} == {"d2": "because"}
    crown(log, "force", "1", "2")
    assert refused(read(log)) == {}
