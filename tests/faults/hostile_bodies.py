"""Answers of S3 and of MLflow's REST interface that are well-formed HTTP, and not what a client expects."""

import json
import re
from typing import Any

from tests.faults.hostile_proxy import Answer, Fault

ENTITIES = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(10))
XML_BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "{"a" * 100}">{ENTITIES}]><x><Key>&e10;</Key></x>'
XML_FILE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x><Key>&e;</Key></x>'
DEEP = 2**20
NAMES = (
    "../../../outside",
    "a/../../../../outside",
    "/outside",
    "a//b",
    "\x01",
    "\x00",
    "a" * 300,
    "\ud800",
    ".",
    "..",
    "",
)
VALUES: tuple[Any, ...] = (None, True, -1, 10**30, 1e308, "", "0", "-1", [], {}, [[]], "x" * 100_000, *NAMES)


def xml_bomb(answer: Answer) -> None:
    answer.send(answer.rng.choice((XML_BOMB, XML_FILE)).encode(), status=answer.rng.choice((200, 400, 500)))


def deep_xml(answer: Answer) -> None:
    answer.send(b"<x>" * DEEP + b"</x>" * DEEP, status=answer.rng.choice((200, 403)))


def looped_listing(answer: Answer) -> None:
    """A page that says that there are more, behind the same token for ever."""
    _send_page(answer, b"<NextContinuationToken>again</NextContinuationToken>")


def lost_listing(answer: Answer) -> None:
    """A page that says that there are more, and not where."""
    _send_page(answer, b"")


def _send_page(answer: Answer, token: bytes) -> None:
    if "list-type=" in answer.path:
        page = b"<ListBucketResult><IsTruncated>true</IsTruncated>%s</ListBucketResult>" % token
        answer.send(page, status=200)
    else:
        answer.send()


def odd_listing(answer: Answer) -> None:
    """One value of an answer in XML is another one."""
    values = [*re.finditer(rb"<(Key|Size|ETag|LastModified|IsTruncated|Prefix|KeyCount)>(.*?)</", answer.body)]
    if not values:
        answer.send()
        return
    value = answer.rng.choice(values)
    odd = answer.rng.choice((*NAMES, "-1", "x", str(10**30), "9" * 5000, answer.body[:20].decode("latin-1")))
    start, end = value.span(2)
    content = "".join(f"&#{ord(char)};" for char in odd) if answer.rng.random() < 0.5 else odd
    answer.send(answer.body[:start] + content.encode("utf-8", "surrogatepass") + answer.body[end:])


def deep_json(answer: Answer) -> None:
    answer.send(answer.rng.choice((b"[" * DEEP, b'{"a":' * DEEP, b"9" * DEEP, b"[" * DEEP + b"]" * DEEP)))


def odd_json(answer: Answer) -> None:
    """One to three values of an answer in JSON are other ones."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        answer.send()
        return
    for _ in range(answer.rng.randint(1, 3)):
        places = [*_places(document)]
        if not places:
            break
        holder, name = answer.rng.choice(places)
        holder[name] = answer.rng.choice(VALUES)
    answer.send(json.dumps(document).encode())


def looped_pages(answer: Answer) -> None:
    """There are always more, behind the same token."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = {}
    answer.send(json.dumps({**document, "next_page_token": "again"}).encode())


def _places(document: Any) -> Any:
    """Every value in *document*: what holds it, and its name there."""
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else ())
    )
    for name, value in [*entries]:
        yield document, name
        yield from _places(value)


OF_S3: dict[str, Fault] = {
    fault.__name__: fault for fault in (xml_bomb, deep_xml, looped_listing, lost_listing, odd_listing)
}
OF_MLFLOW: dict[str, Fault] = {fault.__name__: fault for fault in (deep_json, odd_json, looped_pages)}
