"""MNIST's four files from the network, kept where tensorflow-datasets keeps its downloads and as it describes them.

TFDS_DATA_DIR/downloads/.../*train-images-idx3-ubyte*.gz
                            *train-images-idx3-ubyte*.gz.INFO    {"dataset_names": ["mnist"], "urls": [...], ...}
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.errors import DataRejected, SourceError, SourceUnreachable, StorageFailed
from components.ingest.reading import network
from components.progress import say
from components.settings.sections import Ingest
from components.system.files import write_atomically
from components.system.pace import Refused

ADDRESS = "https://storage.googleapis.com/cvdf-datasets/mnist/"  # MNIST.URL of tensorflow_datasets
FILES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "test-images": "t10k-images-idx3-ubyte.gz",
    "test-labels": "t10k-labels-idx1-ubyte.gz",
}
MOST_BYTES = 64 * 2**20  # of one file; the largest has 10 MB, and 47 MB where a server unpacks it
ATTEMPTS = 3
WAYS_OUT = (
    "set MNIST_DIR to a folder with its four IDX files, or ingest.mirror to an address that serves them"
    " (--set ingest.mirror=http://HOST/FOLDER/), or use the digits of scikit-learn (SOURCE=digits)"
)


def address(params: Ingest) -> str:
    """Where to download from, ending in a slash; raises SourceError where it is not a web address."""
    base = params.mirror or ADDRESS
    if not base.startswith(("http://", "https://")):
        raise SourceError(f"ingest.mirror is '{base}'; expected an address such as http://HOST/FOLDER/")
    return base if base.endswith("/") else f"{base}/"


def probe(base: str, seconds: float) -> None:
    """Return where *base* serves MNIST; raises SourceUnreachable, within *seconds*, where nothing answers."""
    problem = network.why_unreachable(base + FILES["test-labels"], seconds)
    code = getattr(problem, "code", 0)  # HTTP status
    if base != ADDRESS and code in (
        400,
        403,
        404,
        410,
    ):  # the usual address has the files: there it is a proxy on the way that refuses
        raise SourceError(f"{base} answers {code} for {FILES['test-labels']}; expected MNIST's files there; {WAYS_OUT}")
    if problem:
        raise SourceUnreachable(f"MNIST cannot be downloaded from {base} ({network.reason(problem)}); {WAYS_OUT}")


def kept(home: Path) -> dict[str, Path]:
    """The four files that were downloaded before, by role, whoever did it; empty where one is missing."""
    files: dict[str, Path] = {}
    for note in sorted(home.glob("downloads/**/*ubyte*.gz.INFO")):
        path = note.with_name(note.stem)
        if (url := _described(note)) and path.is_file():
            files.update({role: path for role, name in FILES.items() if url.endswith(f"/{name}")})
    return files if len(files) == len(FILES) else {}


def _described(note: Path) -> str:
    """Where *note* says that its file of MNIST came from; "" where it says something else, or was cut off."""
    try:
        about: Any = json.loads(note.read_bytes())
        return str(about["urls"][0]) if "mnist" in about["dataset_names"] else ""
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""


def intact(files: dict[str, Path], accept: Callable[[str, Path], None]) -> bool:
    """Whether *accept* raises for none of *files*; those that it rejects are deleted, and downloaded again then."""
    complete = True
    for role, path in files.items():
        try:
            accept(role, path)
        except DataRejected as error:
            say(f"  {str(error).partition(';')[0]}; downloading it again")
            _delete(path)
            complete = False
    return complete


def fetch(base: str, home: Path, accept: Callable[[str, Path], None]) -> dict[str, Path]:
    """Download the four files to the folder of downloads below *home*, by role.

    *accept* raises DataRejected for a wrong file: then none is kept, so that the next attempt downloads them again.
    """
    say(f"downloading MNIST, 11 MB, from {base}")
    paths = {role: home / "downloads" / "mnist" / name for role, name in FILES.items()}
    for path in paths.values():
        _keep(base + path.name, _content(base, path.name), path)
    try:
        for role, path in paths.items():
            accept(role, path)
    except DataRejected as error:
        for path in paths.values():
            _delete(path)
        raise DataRejected(f"{base} serves files that are not MNIST's: {error}") from None
    return paths


def _content(base: str, name: str) -> bytes:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return network.download(base + name, MOST_BYTES)
        except OSError as error:
            problem = error
            if attempt == ATTEMPTS or not _passing(error):
                break
    raise SourceUnreachable(f"MNIST cannot be downloaded from {base} ({name}: {network.reason(problem)}); {WAYS_OUT}")


def _passing(error: OSError) -> bool:
    """Whether another attempt may succeed at once: the connection broke, or the server was busy."""
    code = getattr(error, "code", 0)  # HTTP status
    return code >= 500 or not (code or isinstance(error, Refused))


def _keep(url: str, content: bytes, path: Path) -> None:
    note = json.dumps({"dataset_names": ["mnist"], "original_fname": path.name, "urls": [url]})
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
        write_atomically(_note(path), note)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.INFO")


def _delete(path: Path) -> None:
    with _writing(path):
        _note(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written ({error.strerror}); free space, or set TFDS_DATA_DIR to a folder to write to"
        ) from None
