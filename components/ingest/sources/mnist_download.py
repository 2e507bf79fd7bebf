"""MNIST's four files by the network: find out fast whether it is there, then let tensorflow-datasets fetch them."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

from components.errors import DataRejected, SourceError, SourceUnreachable
from components.progress import say
from components.settings.sections import Ingest

ADDRESS = "https://storage.googleapis.com/cvdf-datasets/mnist/"  # tensorflow_datasets' MNIST.URL
FILES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "test-images": "t10k-images-idx3-ubyte.gz",
    "test-labels": "t10k-labels-idx1-ubyte.gz",
}
WAYS_OUT = (
    "set MNIST_DIR to a folder with its four IDX files, or ingest.mirror to an address that serves them"
    " (--set ingest.mirror=http://HOST/FOLDER/), or take the digits inside scikit-learn (SOURCE=digits)"
)


def address(params: Ingest) -> str:
    """Where to download from, with a slash at its end; raises SourceError where it is no web address."""
    base = params.mirror or ADDRESS
    if not base.startswith(("http://", "https://")):
        raise SourceError(f"ingest.mirror is '{base}'; expected an address such as http://HOST/FOLDER/")
    return base if base.endswith("/") else f"{base}/"


def probe(base: str, seconds: float) -> None:
    """Return where *base* serves MNIST; raises SourceUnreachable, in *seconds* at the latest, where nothing answers."""
    problem = silence(base + FILES["test-labels"], seconds)
    code = getattr(problem, "code", 0)  # HTTP status
    if base != ADDRESS and code in (400, 403, 404, 410):  # from the usual address, it is a wall on the way that says so
        raise SourceError(f"{base} answers {code} for {FILES['test-labels']}; expected MNIST's files there; {WAYS_OUT}")
    if problem:
        raise SourceUnreachable(f"MNIST cannot be downloaded from {base} ({told(problem)}); {WAYS_OUT}")


def told(problem: Exception) -> str:
    """*problem* without the wrapping of urllib: "Name or service not known"."""
    reason = getattr(problem, "reason", None) or problem
    return str(getattr(reason, "strerror", None) or reason)


def silence(url: str, seconds: float) -> Exception | None:
    """Why *url* cannot be opened, known in *seconds* at the latest; None where it can.

    Asked in a thread of its own: no time-out reaches into the operating system's look-up of a name.
    """
    answers: list[Exception | None] = []
    thread = threading.Thread(target=lambda: answers.append(_ask(url, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else TimeoutError(f"no answer within {seconds:g} s")


def _ask(url: str, seconds: float) -> Exception | None:
    """Open *url*, by the proxies of the environment, and read nothing; returns what went wrong."""
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=seconds):  # noqa: S310 - `address` lets web addresses through alone
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return error
    except (OSError, http.client.HTTPException, ValueError) as error:
        return error


def kept(home: Path) -> dict[str, Path]:
    """The four files that tensorflow-datasets downloaded before, by role; nothing where one is missing."""
    found: dict[str, Path] = {}
    for note in sorted(home.glob("downloads/**/*ubyte*.gz.INFO")):
        about = json.loads(note.read_bytes())
        path = note.with_name(note.stem)
        if "mnist" in about.get("dataset_names", []) and path.is_file():
            found.update({role: path for role, name in FILES.items() if about["urls"][0].endswith(f"/{name}")})
    return found if len(found) == len(FILES) else {}


def fetch(base: str, home: Path, accept: Callable[[str, Path], None]) -> dict[str, Path]:
    """Download the four files to tensorflow-datasets' cache below *home*, by role.

    *accept* raises DataRejected for a wrong one: then none is kept, so that another try does not find them here.
    """
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    say(f"downloading MNIST, 11 MB, from {base}")
    tfds.disable_progress_bar()
    downloader.MAX_RETRIES = 3  # its 10 retries wait for 200 s in all, and `probe` had an answer a moment ago
    manager = tfds.download.DownloadManager(download_dir=home / "downloads", dataset_name="mnist")
    try:
        paths: dict[str, Path] = manager.download({role: base + name for role, name in FILES.items()})
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise SourceUnreachable(f"MNIST cannot be downloaded from {base} ({error}); {WAYS_OUT}") from None
    except tfds.download.NonMatchingChecksumError:
        raise DataRejected(f"{base} serves files that are not MNIST's; {WAYS_OUT}") from None
    paths = {role: Path(path) for role, path in paths.items()}
    try:
        for role, path in paths.items():
            accept(role, path)
    except DataRejected as error:
        for path in paths.values():
            path.unlink()
            path.with_name(f"{path.name}.INFO").unlink(missing_ok=True)
        raise DataRejected(f"{base} serves files that are not MNIST's: {error}") from None
    return paths
