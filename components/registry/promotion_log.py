"""The promotion log: who made which version champion, when and why. MLflow keeps no history of aliases; this does.

One JSON object a line, only ever appended:

    {"action": "promote", "comparison": {...}, "digest": "9f86d0...", "from": "1", "name": "mnist-classifier",
     "reason": "...", "time": "2026-11-22T04:22:42+00:00", "to": "2", "who": "ada@workstation"}

action: promote (by the pipeline), force and rollback (by a person), recovered (the alias was found to point elsewhere
than the log ends: a process died between moving the alias and writing here, or somebody moved it in MLflow).
`digest` is the sha256 of the model file of `to`: version numbers start anew when a registry is wiped, digests do not.
`from_digest` is that of `from`. Moving the alias comes first, the line second.
"""

import fcntl
import getpass
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from components.errors import ArtifactCorrupt

Action = Literal["promote", "force", "rollback", "recovered"]
Entry = dict[str, Any]


def person() -> str:
    """Who runs this process, and where: ada@workstation."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def read(log: Path, name: str | None = None) -> list[Entry]:
    """The entries of the model *name* (of all models), the oldest first.

    A last line without its end was being written when the machine went down: what it tells is found out again
    (`recovered`), so it is passed over. Raises ArtifactCorrupt for any other line that is no entry.
    """
    whole, _ = _parts(log)
    entries = [_entry(log, number, line) for number, line in enumerate(whole.splitlines(), 1)]
    return [entry for entry in entries if name in (None, entry["name"])]


def _parts(log: Path) -> tuple[bytes, bytes]:
    """The complete lines, and what follows them."""
    content = log.read_bytes() if log.exists() else b""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _entry(log: Path, number: int, line: bytes) -> Entry:
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or {"action", "name", "to", "digest"} - entry.keys():
            raise ValueError("not a promotion")
    except ValueError as error:
        raise ArtifactCorrupt(
            f"line {number} of the promotion log {log} is {line[:60]!r}, expected a JSON object with action, name, to "
            "and digest; mend or remove that line by hand"
        ) from error
    return entry


def append(
    log: Path,
    name: str,
    action: Action,
    before: tuple[str | None, str],
    after: tuple[str, str],
    reason: str,
    who: str,
    comparison: dict[str, Any] | None = None,
) -> Entry:
    """Add a line, safe on the disk, about the alias going from *before* to *after*, each (version, digest)."""
    entry: Entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": who,
        "name": name,
        "action": action,
        "from": before[0],
        "from_digest": before[1],
        "to": after[0],
        "digest": after[1],
        "reason": reason,
        "comparison": comparison,
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # or a line that another process is writing would look torn
        _drop_torn_line(log)
        os.write(file, json.dumps(entry, sort_keys=True).encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)
    return entry


def _drop_torn_line(log: Path) -> None:
    """Take away a line that a crash left without its end, or the next line would be glued to it."""
    whole, torn = _parts(log)
    if torn:
        os.truncate(log, len(whole))


def reigns(entries: list[Entry]) -> list[tuple[str, str]]:
    """The champions to go back through, (version, digest), the present one last.

    A promotion puts one on top, a rollback takes down to the one that it went back to.
    """
    stack: list[tuple[str, str]] = []
    for entry in entries:
        champion = (entry["to"], entry["digest"])
        back = entry["action"] in ("rollback", "recovered") and champion in stack
        stack = stack[: stack.index(champion) + 1] if back else [*stack, champion]
    return stack


def refused(entries: list[Entry]) -> dict[str, Entry]:
    """By digest, the rollback by which a person left that model; a later promotion by force takes it back."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry["action"] == "rollback" and entry.get("from_digest"):
            found[entry["from_digest"]] = entry
        elif entry["action"] in ("force", "rollback"):
            found.pop(entry["digest"], None)
    return found
