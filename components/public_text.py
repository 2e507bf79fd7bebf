"""Text that leaves the process: what a record, a report, a message or a table may hold of a path, name or address.

    "http://user:secret@host/?token=abc"    redacted     "http://***@host/?token=***"
    "notes-\\udce9.txt"                      printable    "notes-\\xe9.txt", for a name in bytes that are no UTF-8
    "\\x1b[2J"                               printable    "\\x1b[2J" in letters, so that no terminal obeys it

Standard library only: every failure and every line of progress goes through `public`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "***"
# what a stream, a database or a browser refuses or obeys: control characters but tab and line feed, and surrogates,
# by which Python stands for the bytes of a file's name that are no UTF-8
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# a password may hold a raw "/", but "host:8080/a@b" has none
LOGIN = re.compile(r"""://(?:[^\s/?#"'<>]*|[^\s/?#@:"'<>\[]+:(?!\d+[/?#])[^\s@"'<>]*)@""")
SECRET = r"[\w.-]*(?:token|secret|passw|pwd|key|sig|credential|auth)[\w.-]*"  # noqa: S105 - names, no secret
PARAMETER = re.compile(rf"""([?&;]{SECRET}=)[^\s&;#"'<>]+""", re.IGNORECASE)


def public(value: Any) -> Any:
    """*value*, a text or what JSON is made of, with each text in it redacted and printable."""
    match value:
        case str():
            return printable(redacted(value))
        case Mapping():
            return {public(name): public(inner) for name, inner in value.items()}
        case list() | tuple():
            return [public(inner) for inner in value]
        case _:
            return value


def printable(text: str) -> str:
    """*text* in characters that every stream, file and database takes."""
    if text.isprintable():
        return text
    # line by line: of the million characters of a report hardly a line is searched
    return "\n".join(line if line.isprintable() else UNPRINTABLE.sub(_escaped, line) for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte, https://peps.python.org/pep-0383/
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def redacted(text: str) -> str:
    """*text* without the logins and secret parameters of the addresses in it."""
    if "://" in text:
        text = LOGIN.sub(f"://{HIDDEN}@", text)
    return PARAMETER.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def passwords(addresses: Iterable[str]) -> Iterator[str]:
    """The passwords in *addresses*, as they are written there; what is no address has none."""
    for address in addresses:
        with suppress(ValueError):
            if password := urlsplit(address).password:
                yield password


def link(address: str) -> str:
    """*address* for a browser, without its login, query and fragment."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
