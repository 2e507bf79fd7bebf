"""The promotion log: appended to, read back, repaired after a crash, and replayed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

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
from components.system.canonical import with_checksum


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
    assert len(line.pop("checksum")) == 64
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


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "not JSON": lambda line: b"rubbish",
    "another JSON value": lambda line: b"[1]",
    "a missing key": lambda line: b'{"action": "promote", "name": "m"}',
    "a changed value": lambda line: line.replace(b'"to": "2"', b'"to": "3"'),
    "a changed value, and the name of the checksum": lambda line: line.replace(b'"to": "2"', b'"to": "3"').replace(
        b'"checksum"', b'"shecksum"'
    ),
    "a changed reason": lambda line: line.replace(b"because", b"becauze"),
    "no UTF-8": lambda line: line.replace(b"because", b"becaus\xe9"),
    "nested deeply": lambda line: b"[" * 100_000,
    "a huge number": lambda line: b'{"to": ' + b"9" * 5000 + b"}",
    "nothing": lambda line: b"",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_line_is_reported_set_aside_and_blocks_nothing(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is moved to a file beside the log, once; the lines around it are read, and lines can be added."""
    log = tmp_path / "promotions.jsonl"
    for before, after in ((None, "1"), ("1", "2"), ("2", "4")):
        make_champion(log, "promote", before, after)
    lines = log.read_bytes().splitlines()
    lines[1] = DAMAGE[kind](lines[1])
    log.write_bytes(b"\n".join(lines) + b"\n")
    assert [line.version for line in read(log)] == ["1", "4"]
    assert "promotions.jsonl is damaged; it is moved to promotions.jsonl.damaged" in capsys.readouterr().err
    assert (tmp_path / "promotions.jsonl.damaged").read_bytes() == lines[1] + b"\n"
    make_champion(log, "promote", "4", "5")
    assert [line.version for line in read(log)] == ["1", "4", "5"]
    assert capsys.readouterr().err == ""


def test_a_line_of_an_earlier_version_has_no_checksum(tmp_path: Path) -> None:
    """It is read as it is."""
    log = tmp_path / "log"
    log.write_text('{"action": "promote", "name": "m", "to": "1", "digest": "d1"}\n')
    assert [line.champion for line in read(log)] == [Champion("1", "d1")]


def test_a_line_of_a_later_version_may_hold_more(tmp_path: Path) -> None:
    """What this version does not know is left out; the checksum says that the line is whole."""
    log = tmp_path / "log"
    line = {"action": "promote", "name": "m", "to": "1", "digest": "d1", "weather": "fine"}
    log.write_text(json.dumps(with_checksum(line)) + "\n")
    assert [line.champion for line in read(log)] == [Champion("1", "d1")]


def test_a_damaged_line_of_a_log_that_cannot_be_written_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who may only read the workspace sees the lines that are whole."""
    log = tmp_path / "log"
    make_champion(log, "promote", None, "1")
    log.write_text(log.read_text() + "rubbish\n")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied", str(log))

    monkeypatch.setattr("components.registry.promotion_log.os.open", refuse)
    assert [line.version for line in read(log)] == ["1"]
    assert "cannot be repaired (Permission denied)" in capsys.readouterr().err


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
