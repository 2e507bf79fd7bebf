"""Pages of other origins that may call the server from a browser: https://fetch.spec.whatwg.org/#http-cors-protocol"""

from serving.messages import Headers

PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, inference-header-content-length"),
    (b"access-control-max-age", b"600"),
)
READABLE: Headers = ((b"access-control-expose-headers", b"x-model-version, inference-header-content-length"),)


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
