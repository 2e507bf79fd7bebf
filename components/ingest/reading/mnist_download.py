"""MNIST's four files from the network: check quickly that they are there, then let tensorflow-datasets fetch them."""

import json
from collections.abc import Callable
from pathlib import Path

from components.errors import DataRejected, SourceError, SourceUnreachable
from components.ingest.reading import network
from components.progress import say
from components.settings.sections import Ingest

ADDRESS = "https://storage.googleapis.com/cvdf-datasets/mnist/"  # MNIST.URL of tensorflow_datasets
FILES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "test-images": "t10k-images-idx3-ubyte.gz",
    "test-labels": "t10k-labels-idx1-ubyte.gz",
}
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
    """The four files that tensorflow-datasets downloaded before, by role; empty where one is missing."""
    files: dict[str, Path] = {}
    for note in sorted(home.glob("downloads/**/*ubyte*.gz.INFO")):
        about = json.loads(note.read_bytes())
        path = note.with_name(note.stem)
        if "mnist" in about.get("dataset_names", []) and path.is_file():
            files.update({role: path for role, name in FILES.items() if about["urls"][0].endswith(f"/{name}")})
    return files if len(files) == len(FILES) else {}


def fetch(base: str, home: Path, accept: Callable[[str, Path], None]) -> dict[str, Path]:
    """Download the four files to tensorflow-datasets' cache below *home*, by role.

    *accept* raises DataRejected for a wrong file: then none is kept, so that the next attempt downloads them again.
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
