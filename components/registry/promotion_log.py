"""The promotion log: who made which version champion, when and why. MLflow keeps no history of aliases; this does.

One JSON object a line, each with a checksum of its own, only ever appended:

    {"action": "promote", "checksum": "...", "comparison": {...}, "digest": "9f86d0...", "from": "1",
     "from_digest": "...", "name": "mnist-classifier", "reason": "...", "time": "2026-11-22T04:22:42+00:00", "to": "2",
     "who": "ada@desk"}

A damaged line is moved to promotions.jsonl.damaged and reported; the log goes on without it. What it recorded is
detected again where it matters: the alias is in the registry, and so is the tag of a version that was rolled back.

action: promote (by the pipeline), force and rollback (by a user), recovered (the alias pointed to another version than
the log: a process died between moving the alias and writing here, or somebody moved it in MLflow).
ask, approve, reject, hold, superseded: a person was asked about the version `to`, beside the champion `from`, and what
came of it (components.registry.approval). These move nothing: an approval is followed by the promotion.
run: the Airflow run that a user started for force or rollback; what it has done is not done again by a retry.
`digest` is the sha256 of the model file of `to`, `from_digest` that of `from`: version numbers start again when a
registry is wiped, the sha256 stays. The alias is moved first, the line is written second.
"""

import getpass
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from components.progress import say
from components.registry.approval import OF_APPROVAL, OfApproval
from components.registry.model_version import ModelVersion
from components.system import locks
from components.system.canonical import CHECKSUM, checked, with_checksum
from components.system.files import write_atomically

Action = Literal["promote", "force", "rollback", "recovered"] | OfApproval


class Champion(NamedTuple):
    """A version by its number and the sha256 of its model; (None, "") where there was none."""

    version: str | None
    model_sha256: str

    @classmethod
    def of(cls, version: ModelVersion | None) -> "Champion":
        return cls(version.version, version.model_sha256) if version else cls(None, "")


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log."""

    action: Action
    name: str
    version: str = msgspec.field(name="to")
    model_sha256: str = msgspec.field(name="digest")
    before: str | None = msgspec.field(name="from", default=None)
    before_sha256: str = msgspec.field(name="from_digest", default="")
    reason: str = ""
    who: str = ""
    time: str = ""
    comparison: dict[str, Any] | None = None
    run: str = ""

    @property
    def champion(self) -> Champion:
        return Champion(self.version, self.model_sha256)


def person() -> str:
    """Who runs this process, and where: ada@workstation."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user of a container without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{os.uname().nodename}"


def promotion(
    name: str,
    action: Action,
    before: Champion,
    after: Champion,
    reason: str,
    who: str,
    comparison: dict[str, Any] | None = None,
    time: str = "",
    run: str = "",
) -> Promotion:
    """The line about *after*, of which *before* is the champion until then; *time* is now where it is left out."""
    return Promotion(
        action=action,
        name=name,
        version=str(after.version),
        model_sha256=after.model_sha256,
        before=before.version,
        before_sha256=before.model_sha256,
        reason=reason,
        who=who,
        time=time or datetime.now(UTC).isoformat(timespec="seconds"),
        comparison=comparison,
        run=run,
    )


def read(log: Path, name: str | None = None) -> list[Promotion]:
    """The promotions of the model *name* (of all models), the oldest first; damaged lines are set aside.

    A last line without its newline was being written when the machine went down; it is skipped, since what it recorded
    is detected again (`recovered`).
    """
    lines = _parts(log)[0].splitlines()
    promotions = [_decode(line) for line in lines]
    if None in promotions:
        _set_aside_damaged_lines(log)
    return [promotion for promotion in promotions if promotion and name in (None, promotion.name)]


def _parts(log: Path) -> tuple[bytes, bytes]:
    """The complete lines, and what follows them."""
    content = log.read_bytes() if log.exists() else b""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _decode(line: bytes) -> Promotion | None:
    """The promotion in *line*; None where it is damaged.

    Earlier versions wrote no checksum, and later ones may write other fields: a line with neither is damaged.
    """
    try:
        content = checked(line)
        known = {field.encode_name for field in msgspec.structs.fields(Promotion)}
        if f'"{CHECKSUM}"'.encode() not in line and content.keys() - known:
            return None
        return msgspec.convert(content, Promotion)
    except ValueError:  # msgspec.ValidationError is one
        return None


def _set_aside_damaged_lines(log: Path) -> None:
    """Move the damaged lines of *log* to a file beside it; where that is impossible they stay, and are skipped."""
    aside = log.with_name(log.name + ".damaged")
    say(f"  warning: a line of the promotion log {log} is damaged; it is moved to {aside.name}, the others are used")
    try:
        with _locked(log):
            complete, torn = _parts(log)
            lines = [(line, _decode(line)) for line in complete.splitlines(keepends=True)]
            with aside.open("ab") as file:
                file.writelines(line for line, promotion in lines if promotion is None)
                file.flush()
                os.fsync(file.fileno())
            write_atomically(log, b"".join(line for line, promotion in lines if promotion) + torn, flush=True)
    except OSError as error:
        say(f"  warning: {log} cannot be repaired ({error.strerror})")


def append(log: Path, promotion: Promotion) -> None:
    """Add a line and flush it to the disk."""
    log.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(with_checksum(_document(promotion)), sort_keys=True) + "\n"
    with _locked(log) as file:
        _drop_torn_line(log)
        os.write(file, line.encode())
        os.fsync(file)


def _document(promotion: Promotion) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(promotion)
    return {name: value for name, value in document.items() if name != "run" or value}


@contextmanager
def _locked(log: Path) -> Iterator[int]:
    """The log, open for appending and locked: a line that another process is writing would look torn."""
    while True:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            locks.wait(file, "the promotion log")
            if log.exists() and os.fstat(file).st_ino == log.stat().st_ino:  # else it was replaced meanwhile
                yield file
                return
        finally:
            os.close(file)


def _drop_torn_line(log: Path) -> None:
    """Remove a line that a crash left without its newline, or the next one would be appended to it."""
    complete, torn = _parts(log)
    if torn:
        os.truncate(log, len(complete))


def champion_history(promotions: Sequence[Promotion]) -> list[Champion]:
    """The champions that a rollback can restore, the present one last.

    A promotion pushes one onto the stack, a rollback pops down to the one that it restored.
    """
    stack: list[Champion] = []
    for promotion in promotions:
        if promotion.action in OF_APPROVAL:
            continue
        champion = promotion.champion
        restored = promotion.action in ("rollback", "recovered") and champion in stack
        stack = stack[: stack.index(champion) + 1] if restored else [*stack, champion]
    return stack


def rolled_back(promotions: Sequence[Promotion]) -> dict[str, Promotion]:
    """By the sha256 of each model that a user rolled back from, that rollback; promoting it by force clears it."""
    rollbacks: dict[str, Promotion] = {}
    for promotion in promotions:
        if promotion.action == "rollback" and promotion.before_sha256:
            rollbacks[promotion.before_sha256] = promotion
        elif promotion.action in ("force", "rollback"):
            rollbacks.pop(promotion.model_sha256, None)
    return rollbacks
