"""Open web addresses, through the proxies of the environment; redirections lead to web addresses alone.

urllib also follows a redirection to ftp://, whose answers are of another kind.
"""

import io
from functools import lru_cache, partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from components.system.pace import Pace


def open_url(url: str, seconds: float, most: int | None = None) -> HTTPResponse:
    """The answer to GET *url*, http or https. Raises OSError, http.client.HTTPException and ValueError.

    *seconds* are until something arrives. With *most*, the number of bytes at most, the headers count too, and an
    answer has to have that pace: to open and to read it raises Refused where it drips, or does not end.
    """
    opened: HTTPResponse = _opener(most).open(url, timeout=seconds)
    return opened


class _WebAlone(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith(("http://", "https://")):
            raise HTTPError(newurl, code, f"{msg}: redirected to {newurl!r}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@lru_cache(8)
def _opener(most: int | None) -> OpenerDirector:
    if most is None:
        return build_opener(_WebAlone)
    return build_opener(_WebAlone, _Bounded(most))


class _Paced(io.RawIOBase):
    """What *raw* delivers, held to a Pace."""

    def __init__(self, raw: io.RawIOBase, most: int, patience: float) -> None:
        self._raw, self._pace, self._received = raw, Pace(most, patience), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._raw.readinto(buffer) or 0
        self._received += count
        if count:
            self._pace.check(self._received)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, most: int, **more: Any) -> None:
        super().__init__(sock, *arguments, **more)
        paced = _Paced(self.fp.detach(), most, 2 * (sock.gettimeout() or 0))
        self.fp = io.BufferedReader(paced)


class _Bounded(HTTPSHandler, HTTPHandler):
    """Opens both kinds of addresses."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_connection, HTTPConnection, self._most), req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_connection, HTTPSConnection, self._most), req)


def _connection(kind: type[HTTPConnection], most: int, host: str, **more: Any) -> HTTPConnection:
    connection = kind(host, **more)
    connection.response_class = partial(_Answer, most=most)  # type: ignore[assignment]
    return connection
