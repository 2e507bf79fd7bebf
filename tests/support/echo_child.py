"""A child process that does what each message says: {"do": the name of a function here, ...}."""

import os
import signal
import subprocess
import sys
import time

from components.errors import DataRejected
from components.system.processes import Message, Parent, failure_message


def echo(parent: Parent, message: Message) -> None:
    parent.send(message)


def print_everywhere(parent: Parent, _: Message) -> None:
    print("printed by a library", flush=True)
    os.write(1, b"printed by C code\n")
    subprocess.run([sys.executable, "-c", "print('printed by a grandchild')"], check=True)
    parent.send({"printed": True})


def send_bytes(parent: Parent, message: Message) -> None:
    parent.send({"count": message["count"]}, b"\n" * message["count"])


def fail(parent: Parent, _: Message) -> None:
    parent.send(failure_message(DataRejected("no images")))


def send_half(parent: Parent, _: Message) -> None:
    os.write(parent._output, b'{"half": ')
    os.kill(os.getpid(), signal.SIGKILL)


def work(parent: Parent, _: Message) -> None:
    parent.send({"working": os.getpid()})
    time.sleep(600)


def end(_: Parent, __: Message) -> None:
    sys.exit(3)


DO = {function.__name__: function for function in (echo, print_everywhere, send_bytes, fail, send_half, work, end)}

if __name__ == "__main__":
    parent = Parent()
    while True:
        message = parent.receive()
        DO[message["do"]](parent, message)
