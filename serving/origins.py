"""Which pages may call the server from a browser: https://fetch.spec.whatwg.org/#http-cors-protocol"""

import ipaddress
import re

from serving.messages import Headers, Refused

PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, inference-header-content-length"),
    (b"access-control-max-age", b"600"),
)
READABLE: Headers = ((b"access-control-expose-headers", b"x-model-version, inference-header-content-length"),)
HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::\d{1,5})?")  # an address in brackets, or a name


class Origins:
    """None by default; never all of them, as a page anywhere could then use what only this machine reaches."""

    def __init__(self, names: list[str]) -> None:
        self._names = {name.encode() for name in names}

    def __bool__(self) -> bool:
        return bool(self._names)

    def headers(self, origin: bytes | None) -> Headers:
        """Those by which a browser shows the response to a page of *origin*; none for an origin that is not named."""
        if origin not in self._names or origin is None:
            return ((b"vary", b"origin"),)
        return ((b"access-control-allow-origin", origin), (b"vary", b"origin"), *READABLE)

    def expect_own_page(self, headers: dict[bytes, bytes]) -> None:
        """Raise Refused where another site's page makes a browser send the request.

        Such a page may have made its own name an address of this machine (DNS rebinding), and is then of one origin
        with the server: so the host has to be an address or localhost, unless the origin of the page is named. Behind a
        proxy it has to be: the host may then be anything.
        """
        host, origin = headers.get(b"host", b""), headers.get(b"origin", b"")
        is_named = origin in self._names or bool({b"http://" + host, b"https://" + host} & self._names)
        is_own = origin in self._names or not origin or origin.partition(b"://")[2] == host
        if not is_own or headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            raise Refused(403, "reports are taken from the page of this server alone")
        if not is_named and not _is_address(host):
            name = host.decode("latin-1")[:200]
            raise Refused(
                403, f"the server is not known as '{name}'; name its origin in serve.origins, or use localhost"
            )


def _is_address(host: bytes) -> bool:
    """Whether no other machine can be reached by *host*: an IP address or localhost, with a port or without."""
    match = HOST.fullmatch(host)
    if not match:
        return False
    name = (match[1] or match[2]).decode("ascii")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
