"""A mail server on this machine: takes what is sent to it by SMTP, and keeps it."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Mails = list[EmailMessage]


class MailServer(socketserver.ThreadingTCPServer):
    """With a *login*, name and password, it takes no mail before these, and with *tls* none before STARTTLS."""

    daemon_threads = True

    def __init__(self, login: tuple[str, str] | None, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.login, self.tls = login, tls
        self.mails: Mails = []


class Session(socketserver.StreamRequestHandler):
    """One connection: the commands of RFC 5321 that a client needs, STARTTLS and AUTH PLAIN."""

    server: MailServer

    def handle(self) -> None:
        self.is_open, self.is_secret = self.server.login is None, self.server.tls is None
        self.answer("220 here")
        while command := self.rfile.readline().strip():
            verb = command.split()[0].decode().lower()
            self.answer(getattr(self, f"on_{verb}", lambda _: "250 fine")(command))
            if verb == "starttls":
                self.encrypt()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def answer(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def on_ehlo(self, _: bytes) -> str:
        return f"250-here\r\n250 {'AUTH PLAIN' if self.is_secret else 'STARTTLS'}"

    def on_starttls(self, _: bytes) -> str:
        return "220 go on"

    def encrypt(self) -> None:
        assert self.server.tls
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.is_secret = True

    def on_auth(self, command: bytes) -> str:
        given = tuple(part.decode() for part in base64.b64decode(command.split()[2]).split(b"\0")[1:])
        self.is_open = self.is_secret and given == self.server.login
        return "235 welcome" if self.is_open else "535 wrong name or password"

    def on_mail(self, _: bytes) -> str:
        return "250 fine" if self.is_open and self.is_secret else "530 log in first"

    def on_data(self, _: bytes) -> str:
        self.answer("354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        mail = message_from_bytes(b"".join(line.removeprefix(b".") for line in lines), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.server.mails.append(mail)
        return "250 fine"

    def on_quit(self, _: bytes) -> str:
        return "221 bye"


@contextmanager
def mail_server(login: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, Mails]]:
    """The port of a MailServer, and the mails that it has got."""
    with MailServer(login, tls) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], server.mails
        server.shutdown()


def tls_of_localhost(file: Path) -> ssl.SSLContext:
    """The server's side of TLS as localhost; *file* gets its certificate, which its clients have to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    file.write_bytes(signed.public_bytes(Encoding.PEM))
    private = file.with_suffix(".key")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, private)
    return context
