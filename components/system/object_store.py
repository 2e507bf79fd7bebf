"""Object stores that speak S3: the client, and what its errors mean for a user.

s3fs and botocore, whose errors it lets through, are imported where they are used. Standard library only otherwise.
"""

import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from components.errors import ConfigError, Failure, Unavailable
from components.progress import say
from components.system.background import beside
from components.system.object_answers import session_class

SECONDS = 20  # for a server to answer
TRIES = 2  # by s3fs, of three by botocore each: with its own five, a silent server is waited for for minutes
WORD_SECONDS = 20.0
PAGE = 1000  # objects in an answer of the server
BUSY = (408, 409, 429)  # statuses after which a retry may succeed, as after all from 500
LIBRARIES = ("aiohttp", "aiobotocore", "botocore", "http")  # whose errors s3fs does not translate


def file_system() -> Any:
    """The client, with the credentials and the address of the environment: an s3fs.S3FileSystem."""
    import s3fs

    limits = {"connect_timeout": SECONDS, "read_timeout": SECONDS, "retries": {"max_attempts": 2}}
    limits["http_session_cls"] = session_class(SECONDS)
    files = s3fs.S3FileSystem(use_listings_cache=False, config_kwargs=limits)
    files.retries = TRIES
    return files


def pages(files: Any, root: str) -> Iterator[list[Mapping[str, Any]]]:
    """What the server says of the objects below *root*, BUCKET or BUCKET/PREFIX, page by page.

    `find` of s3fs gives all of them at the end, and has none where a server repeats a page for ever. Raises
    ConnectionError there.
    """
    bucket, _, folder = root.partition("/")
    where = {"Bucket": bucket, "Prefix": f"{folder}/" if folder else "", **files.req_kw}
    position, tokens = dict[str, str](), set[str]()
    while True:
        page = files.call_s3("list_objects_v2", **where, **position, MaxKeys=PAGE)
        yield page.get("Contents", [])
        if not page.get("IsTruncated"):
            return
        token = page.get("NextContinuationToken", "")
        if not token or token in tokens:
            raise ConnectionError("its list of objects says that there are more, and not where")
        tokens.add(token)
        position = {"ContinuationToken": token}


@contextmanager
def announced(url: str) -> Iterator[None]:
    """Say every WORD_SECONDS that *url* is waited for, until the block ends: the client retries without a word."""

    def announce(ended: threading.Event) -> None:
        while not ended.wait(WORD_SECONDS):
            say(f"  still waiting for {url}")

    with beside(announce):
        yield


def failure(error: Exception, url: str, setting: str) -> Failure | None:
    """What *error* means for the user who set *setting* to *url*; None for one of this machine's disk and for a bug."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    place = f"{url} ({setting})"
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return ConfigError(
            f"there are no credentials for {place}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if code(error) == "NoSuchBucket":
        return ConfigError(f"there is no bucket {url.split('/')[2]} ({setting}); create it, or name another")
    if isinstance(error, FileExistsError):
        return None
    if _is_refusal(error):
        return ConfigError(
            f"{place} refuses: {_text(error)}; check the credentials and their rights, AWS_ENDPOINT_URL and "
            "AWS_DEFAULT_REGION"
        )
    if isinstance(error, ValueError):
        return ConfigError(f"{place} cannot be reached: {_text(error)}; check AWS_ENDPOINT_URL")
    if _is_no_answer(error):
        return Unavailable(
            f"{place} did not answer ({_text(error)}); check the network and AWS_ENDPOINT_URL and run it again: "
            "what was finished is kept"
        )
    return None


def response(error: BaseException) -> dict[str, Any]:
    """The server's answer that *error* stands for, {} where it came from elsewhere."""
    return getattr(error.__cause__, "response", None) or {}


def code(error: BaseException) -> str:
    """The server's error code."""
    return str(response(error).get("Error", {}).get("Code", ""))


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _is_refusal(error: Exception) -> bool:
    """Whether the server would answer a retry in the same way."""
    status = response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 300 <= status < 500 and status not in BUSY


def _is_no_answer(error: Exception) -> bool:
    """Whether the server answered nothing, something else than S3, or that it is busy."""
    if isinstance(error, ConnectionError | TimeoutError) or response(error):
        return True
    return type(error).__module__.partition(".")[0] in LIBRARIES or _is_of_an_answer(error)


def _is_of_an_answer(error: Exception) -> bool:
    """Whether the client stumbled over an answer: it reads whatever comes as S3's, and raises what comes of that."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return not isinstance(error, OSError) and any(name.partition(".")[0] in (*LIBRARIES, "s3fs") for name in frames)
