"""What tensorflow-datasets leaves open: errors that name nothing, and downloads that may last for ever."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import Failure, SourceError, StorageFailed, Unavailable
from components.ingest.reading import network
from components.ingest.reading.network import CHUNK
from components.system.pace import Pace

MESSAGE_LENGTH = 300
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
OPERATION = re.compile(r"\{\{.*?\}\} ?| ?\[Op:.*")  # of TensorFlow, around what it says


@contextmanager
def library_errors(what: str, folder: Path) -> Iterator[None]:
    """Turn whatever the library raises over *what*, which it keeps in *folder*, into a failure with a message."""
    try:
        yield
    except Failure:
        raise
    except MemoryError:
        raise Unavailable(f"there is too little memory to read {what}; free some, and run it again") from None
    except ImportError as error:
        raise SourceError(f"{what} needs a package that is not installed: {_line(error)}") from None
    except Exception as error:  # of NumPy, Protocol Buffers, TensorFlow: a damaged file can make them raise anything
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise StorageFailed(
                f"{what} cannot be written to {folder} ({error.strerror}); free space, or set TFDS_DATA_DIR"
            ) from None
        raise SourceError(
            f"{what} cannot be read ({_line(error)}); where {folder} is damaged, remove it to have it prepared again"
        ) from None


def _line(error: Exception) -> str:
    return OPERATION.sub("", " ".join(str(error).split()))[:MESSAGE_LENGTH] or type(error).__name__


def require_records(folder: Path) -> None:
    """Raise SourceError where a file of records in *folder* is none: TensorFlow would wait for a FIFO for ever."""
    for path in sorted(folder.glob("*.tfrecord-*")):
        if not path.is_file():
            raise SourceError(f"{path} is not a regular file; remove {folder} to have it prepared again")


@contextmanager
def paced_downloads(sizes: dict[str, int]) -> Iterator[None]:
    """Let the library's downloads fail where they are too slow, or larger than in *sizes*, bytes by address."""
    from tensorflow_datasets.core.download import downloader

    opened = downloader._open_url

    @contextmanager
    def paced(url: str, **options: Any) -> Iterator[tuple[Any, Iterator[bytes]]]:
        pace = Pace(sizes.get(url), network.SILENCE_SECONDS)
        with opened(url, timeout=network.SILENCE_SECONDS, **options) as (response, _):
            yield response, _pieces(response, pace)

    downloader._open_url, downloader.MAX_RETRIES = paced, 3  # its default, 10, waits for 200 s in all
    try:
        yield
    finally:
        downloader._open_url = opened


def _pieces(response: Any, pace: Pace) -> Iterator[bytes]:
    """What *response*, of requests or of urllib, holds, as it arrives: `iter_content` waits until a piece is full."""
    import requests
    import urllib3

    reader, received = getattr(response, "raw", response), 0
    try:
        while piece := reader.read1(CHUNK):
            received += len(piece)
            pace.check(received)
            yield piece
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise requests.ConnectionError(str(error)) from error
