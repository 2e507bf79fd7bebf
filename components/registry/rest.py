"""One request to MLflow's REST interface: https://mlflow.org/docs/latest/rest-api.html. Standard library only."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

SECONDS = 5  # until a request is given up


class Absent(Exception):
    """What the request is about does not exist."""


@contextmanager
def response(uri: str, endpoint: str, **query: str) -> Iterator[HTTPResponse]:
    """The response to GET *endpoint*. Raises Absent, and OSError where the server does not answer as MLflow does."""
    address = f"{uri.rstrip('/')}/api/2.0/{quote(endpoint)}?{urlencode(query)}"
    try:
        with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 - the caller has checked the scheme
            yield answer
    except HTTPError as error:
        with error:
            if error.code == 404 and b"RESOURCE_DOES_NOT_EXIST" in error.read():
                raise Absent(endpoint) from None
            raise OSError(f"HTTP status {error.code} {error.reason} for {endpoint}") from None
    except (HTTPException, ValueError) as error:
        raise OSError(f"not a response of MLflow for {endpoint}: {error}") from None
