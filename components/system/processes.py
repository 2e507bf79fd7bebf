"""A child process that exchanges lines of JSON with its parent, over its standard input and output, and ends with it.

    parent                                   child: python -m MODULE ARGUMENTS
    with Child("package.module") as child:   parent = Parent()
        child.send({"image": 1})             parent.receive()          {"image": 1}
        child.receive()                      parent.send({"class": 7})

A message may be followed by bytes, whose number is part of the message. What libraries print in the child goes to
its standard error. The child ends as soon as its parent does, even after kill -9: its standard input is closed then.
Standard library only.
"""

import contextlib
import ctypes
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from components import errors
from components.errors import Failure

ROOT = Path(__file__).parents[2]  # of the project, from which the child imports
CHUNK = 2**16  # bytes
PR_SET_PDEATHSIG = 1

Message = dict[str, Any]


class Child:
    """A child process, as its parent sees it."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        stderr: IO[bytes] | None = None,
    ) -> None:
        """Start `python -m MODULE ARGUMENTS`; *environment* is added to that of this process."""
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the parent alone
            bufsize=0,
        )
        self._received = bytearray()  # and not taken yet

    def fileno(self) -> int:
        assert self._process.stdout
        return self._process.stdout.fileno()

    def send(self, message: Mapping[str, object]) -> None:
        """Send *message*; whether the child is still there shows when its answer is received."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            _write_all(self._process.stdin.fileno(), _encode(message))

    def receive(self) -> Message | None:
        """The next message, waited for; None where the child ended without one."""
        while not self.has_message():
            if not self._read():
                return None
        line, _, rest = self._received.partition(b"\n")
        self._received = rest
        message: Message = json.loads(line)
        return message

    def receive_bytes(self, count: int) -> bytes:
        """The *count* bytes that follow a message; fewer where the child ended."""
        while len(self._received) < count and self._read():
            pass
        content = bytes(memoryview(self._received)[:count])
        del self._received[:count]
        return content

    def has_message(self) -> bool:
        """Whether a whole message has been read already."""
        return b"\n" in self._received

    def _read(self) -> int:
        chunk = os.read(self.fileno(), CHUNK)
        self._received += chunk
        return len(chunk)

    def ending(self) -> str:
        """How the child ended, waited for: "ended with status 1" or "was killed by signal 9"."""
        status = self._process.wait()
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"

    def end(self) -> None:
        """Kill the child, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


AnyChild = TypeVar("AnyChild", bound=Child)


def ready(children: Sequence[AnyChild], seconds: float | None) -> list[AnyChild]:
    """Those of *children* that sent something or ended, waited for at most *seconds*; None waits for the first."""
    if waiting := [child for child in children if child.has_message()]:
        return waiting
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child, selectors.EVENT_READ)
        readable = {key.fd for key, _ in selector.select(seconds)}
    return [child for child in children if child.fileno() in readable]


class Parent:
    """The parent process, as its child sees it; there can be one object of this class in a process."""

    def __init__(self) -> None:
        """Take over standard input and output, and end this process as soon as the input does."""
        self._input, self._output = os.fdopen(os.dup(0), "rb"), os.dup(1)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._input:
            self._messages.put(json.loads(line))
        os._exit(0)  # in the middle of whatever the child is doing: nobody waits for the result

    def receive(self) -> Message:
        """The next message, waited for."""
        return self._messages.get()

    def send(self, message: Mapping[str, object], content: bytes = b"") -> None:
        """Send *message*, and *content* after it."""
        _write_all(self._output, _encode(message) + content)


def failure_message(failure: Failure) -> Message:
    """*failure* as a message; `raise_failure` raises it again on the other side."""
    return {"error": type(failure).__name__, "text": str(failure)}


def raise_failure(message: Mapping[str, Any]) -> None:
    """Raise the failure in *message*, where it holds one."""
    if "error" in message:
        failure: type[Failure] = getattr(errors, message["error"])
        raise failure(message["text"])


def end_with_parent() -> None:
    """To be called in a child before its program starts: it gets SIGTERM when its parent dies, however that ends.

    Linux alone: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _encode(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
