"""The review as a page at 127.0.0.1, by the standard library's server: a user, a browser, a few requests a second.

GET  /TOKEN/                    the page
GET  /TOKEN/queue               every item, what was decided, and what the page says of the run
GET  /TOKEN/state               what was decided by now, also elsewhere
GET  /TOKEN/details/ITEM        probabilities and the nearest training images
GET  /TOKEN/pictures/ITEM       the picture; /TOKEN/pixels/ITEM as the network takes it
GET  /TOKEN/neighbours/N        a training image
POST /TOKEN/decide              {"id", "choice": "keep", "relabel" or "drop", "label", "seen": line} -> the new state
POST /TOKEN/undo                {"id", "seen": line} -> the new state

The token is in the address that the command prints: other users of the machine do not know it. Pages of other sites are
refused, by Host, Origin and Sec-Fetch-Site, whatever name they resolve to this machine.
"""

import hmac
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from components.errors import Failure
from components.progress import say
from components.system.content_policy import content_policy
from pipeline.review.decisions import Choice, Meanwhile
from pipeline.review.session import Review, Unknown

HOST = "127.0.0.1"
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
PAGE = Path(__file__).parent / "review.html"
LARGEST_BODY = 16 * 2**10
SECONDS = 30  # that a connection may be idle
CHANGED_ELSEWHERE = "this image was decided about elsewhere meanwhile; look at it again"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """The request is answered with *status* and *message*."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Answer(NamedTuple):
    content: bytes
    kind: str = "application/json"
    status: int = 200


def _json(document: object, status: int = 200) -> Answer:
    return Answer(json.dumps(document).encode(), status=status)


class Server(ThreadingHTTPServer):
    """Listens on *port* of this machine alone; each connection has a thread that ends with the process."""

    daemon_threads = True

    def __init__(self, port: int, review: Review, token: str) -> None:
        self.review, self.token = review, token
        page = PAGE.read_text("utf-8")
        self.page, self.policy = page.encode(), content_policy(page, "'self' data:")
        super().__init__((HOST, port), Handler)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that break; other errors are answered and said where they happen."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "review", ""
    timeout = SECONDS

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would hide the address of the page."""

    def _answer(self, method: Callable[[str], Answer]) -> None:
        try:
            answer = method(self._path())
        except Refused as refused:
            answer = self._error(refused.status, refused.message)
        except Unknown as unknown:
            answer = self._error(404, str(unknown))
        except Failure as failure:
            answer = self._error(500, str(failure))
        except Exception:
            say(traceback.format_exc())
            answer = self._error(500, "internal error; the terminal of the review has it")
        self._send(answer)

    def _error(self, status: int, message: str) -> Answer:
        """As JSON for the script of the page, as text for a user who opened the address."""
        if "text/html" in self.headers.get("Accept", ""):
            return Answer(f"{message}\n".encode(), "text/plain; charset=utf-8", status)
        return _json({"error": message}, status)

    def _send(self, answer: Answer) -> None:
        if answer.status >= 400:  # the body may be unread
            self.close_connection = True
        self.send_response(answer.status)
        headers = {"Content-Type": answer.kind, "Content-Length": str(len(answer.content)), **HEADERS}
        headers["Content-Security-Policy"] = self.server.policy if answer.kind.startswith("text/html") else "sandbox"
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def _path(self) -> str:
        """The path behind the token; raises Refused unless the page itself asks, or a user who knows the address."""
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in OWN_NAMES and host not in OWN_NAMES:
            raise Refused(403, f"the review answers at {HOST} alone, not as {host[:100]!r}")
        token, _, path = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(404, "there is no such page; open the address that the review has printed, to its end")
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "same-origin")
        followed = self.command == "GET" and not path  # the page itself may be opened from a link
        if (origin and urlsplit(origin).netloc != host) or not (followed or site in ("same-origin", "none")):
            raise Refused(403, "requests are taken from the page of this review alone")
        return path

    def _get(self, path: str) -> Answer:
        review = self.server.review
        name, _, what = path.partition("/")
        match name:
            case "" if not what:
                return Answer(self.server.page, "text/html; charset=utf-8")
            case "queue":
                return _json(review.overview())
            case "state":
                return _json(review.state())
            case "details":
                return _json(review.details(what))
            case "pictures":
                return Answer(*review.picture(what))
            case "pixels":
                return Answer(review.pixels(what), "image/png")
            case "neighbours" if what.isdecimal() and what.isascii():
                return Answer(review.neighbour(int(what)), "image/png")
        raise Refused(404, f"there is no {path[:100]} here")

    def _post(self, path: str) -> Answer:
        body, review = self._body(), self.server.review
        item, seen = body.get("id"), body.get("seen")
        if not isinstance(item, str) or not isinstance(seen, int):
            raise Refused(400, 'expected {"id": an image, "seen": the line of the decision that was shown}')
        try:
            if path == "undo":
                review.undo(item, seen)
            elif path == "decide":
                review.decide(item, *self._choice(body), seen)
            else:
                raise Refused(404, f"there is no {path[:100]} here")
        except Meanwhile:
            return _json({"error": CHANGED_ELSEWHERE, **review.state()}, 409)
        return _json(self._changed(item))

    def _choice(self, body: Mapping[str, Any]) -> tuple[Choice, str]:
        match body:
            case {"choice": "keep"}:
                return "keep", ""
            case {"choice": "drop"}:
                return "drop", ""
            case {"choice": "relabel", "label": str(label)} if label in self.server.review.subject.classes:
                return "relabel", label
        raise Refused(400, 'expected "choice": "keep", "drop", or "relabel" with a class as "label"')

    def _changed(self, item: str) -> dict[str, object]:
        """The new state of one item, and the counts."""
        review = self.server.review
        decision = review.decision(item)
        return {"decision": asdict(decision) if decision else None, "counts": asdict(review.decisions.counts())}

    def _body(self) -> dict[str, Any]:
        """The JSON object that was sent; raises Refused."""
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "send the decision as application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or int(length) > LARGEST_BODY:
            raise Refused(413, f"expected a body of at most {LARGEST_BODY:,} bytes, with its Content-Length")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "the body is no JSON object")
        return body
