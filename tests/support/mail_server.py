"""A mail server on this machine: takes what is sent to it by SMTP, and keeps it."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

Mails = list[EmailMessage]


@contextmanager
def mail_server() -> Iterator[tuple[int, Mails]]:
    """The port of the server, and the mails that it has got."""
    mails: Mails = []

    class Session(socketserver.StreamRequestHandler):
        """One connection: the commands of RFC 5321 that a client needs."""

        def handle(self) -> None:
            self.answer("220 here")
            while command := self.rfile.readline().strip().upper():
                if command == b"DATA":
                    self.answer("354 go on")
                    self.keep()
                self.answer("221 bye" if command == b"QUIT" else "250 fine")

        def answer(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def keep(self) -> None:
            lines = iter(self.rfile.readline, b".\r\n")
            mail = message_from_bytes(b"".join(line.removeprefix(b".") for line in lines), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            mails.append(mail)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()
