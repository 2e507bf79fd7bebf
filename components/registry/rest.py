"""One request to MLflow's REST interface: https://mlflow.org/docs/latest/rest-api.html. Standard library only."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

from components.system import web

SECONDS = 5  # until a request is given up
LARGEST = 2**23  # bytes of an answer that is no file: a page of versions with all their tags has 1 MB


class Absent(Exception):
    """What the request is about does not exist."""


def response(uri: str, endpoint: str, **query: str) -> AbstractContextManager[HTTPResponse]:
    """The response to GET *endpoint*, within LARGEST bytes.

    Raises Absent, and OSError where the server does not answer as MLflow does.
    """
    return _answer(uri, endpoint, LARGEST, query)


def file(uri: str, endpoint: str, most: int) -> AbstractContextManager[HTTPResponse]:
    """The file that GET *endpoint* responds with, within *most* bytes. Raises as `response` does."""
    return _answer(uri, endpoint, most, {})


@contextmanager
def _answer(uri: str, endpoint: str, most: int, query: dict[str, str]) -> Iterator[HTTPResponse]:
    address = f"{uri.rstrip('/')}/api/2.0/{quote(endpoint)}?{urlencode(query)}"
    try:
        with web.open_url(address, SECONDS, most) as answer:
            yield answer
    except HTTPError as error:
        with error:
            if error.code == 404 and b"RESOURCE_DOES_NOT_EXIST" in _body(error):
                raise Absent(endpoint) from None
            raise OSError(f"HTTP status {error.code} {error.reason} for {endpoint}") from None
    except (HTTPException, ValueError, RecursionError) as error:
        raise OSError(f"not a response of MLflow for {endpoint}: {error}") from None


def _body(error: HTTPError) -> bytes:
    with suppress(HTTPException, ValueError):  # a broken body says nothing
        return error.read()
    return b""
