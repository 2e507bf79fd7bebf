"""The weights that a training starts from (train.weights), found when the run begins, before any image is decoded.

A file can change and an alias moves, so the recipe of train holds the sha256 of the file.

    imagenet     the file of the network in $KERAS_HOME/models (~/.keras/models), downloaded where it is missing
    FILE.keras   a model file
    champion, 3  the model.keras of a registered version
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from components.errors import ConfigError
from components.models.catalog import imagenet_file
from components.models.imagenet import ImagenetFile
from components.progress import say
from components.registry.client import Registry
from components.settings.sections import IMAGENET, NO_WEIGHTS, Params
from components.system.files import sha256_of_file, write_atomically
from components.system.stat_cache import StatCache
from pipeline import teacher
from pipeline.home import Home

SECONDS = 10.0  # for the address of the ImageNet weights to answer


class InitialWeights(NamedTuple):
    sha256: str
    file: Callable[[], Path]


def find(params: Params, home: Home, registry: Registry, sha256: str = "") -> InitialWeights | None:
    """What train.weights names, None for none; *sha256* is that of the registered model that the run began with.

    Raises ConfigError where there is no such file or version, or it cannot be downloaded.
    """
    wanted = params.train.weights
    if wanted == NO_WEIGHTS:
        return None
    if wanted == IMAGENET:
        return _of_file(_imagenet(params), home)
    if wanted.endswith(".keras"):
        return _of_file(Path(wanted), home)
    version = teacher.find_version("weights", wanted, params.register.name, registry, sha256)
    return InitialWeights(version.model_sha256, lambda: teacher.model_file(version, home, registry, "weights"))


def _of_file(file: Path, home: Home) -> InitialWeights:
    """The weights in *file*, whose hash is remembered by its status."""
    known = StatCache(home.cache / "weights.json")
    try:
        status = file.stat()
        sha256 = known.get(str(file), status) or sha256_of_file(file)
        known.update({str(file): status}, {str(file): sha256})
    except OSError as error:
        raise ConfigError(
            f"train.weights is {file}, which cannot be read: {error.strerror}; expected a model.keras of this pipeline"
        ) from None
    return InitialWeights(sha256, lambda: file)


def _imagenet(params: Params) -> Path:
    """The file of the ImageNet weights of the network, in Keras' folder; downloaded where it is missing."""
    files = {known for network in params.train.networks if (known := imagenet_file(network))}
    if len(files) != 1:
        raise ConfigError(
            f"train.weights is {IMAGENET}, and train.member_models={params.train.member_models} names networks with "
            "different weights; choose one network for all members"
        )
    file = files.pop()
    path = _keras_home() / "models" / file.name
    if not path.exists():
        _download(file, path)
    if (size := path.stat().st_size) != file.size:
        raise ConfigError(f"{path} has {size:,} bytes, expected {file.size:,}; {_by_hand(file, path)}")
    return path


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _download(file: ImagenetFile, path: Path) -> None:
    """Download *file* to *path*, whole or not at all; Keras' own download would print to the standard output."""
    from components.ingest.reading import network

    problem = network.why_unreachable(file.url, SECONDS)
    if problem is None:
        say(f"  downloading {file.name} ({file.size / 1e6:.0f} MB) to {path.parent}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _checked(file, network.download(file.url, file.size)))
        except OSError as error:
            problem = error
    if problem:
        raise ConfigError(
            f"train.weights is {IMAGENET}, and {file.url} cannot be downloaded ({network.reason(problem)}); "
            f"{_by_hand(file, path)}"
        )


def _checked(file: ImagenetFile, content: bytes) -> bytes:
    """*content*; raises ConnectionError where it is not that of *file*."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if len(content) != file.size or file.md5 not in ("", md5):
        raise ConnectionError(f"the server sent {len(content):,} other bytes, md5 {md5}")
    return content


def _by_hand(file: ImagenetFile, path: Path) -> str:
    md5 = f", md5 {file.md5}" if file.md5 else ""
    return f"put {file.name} ({file.size:,} bytes{md5}, from {file.url}) into {path.parent}"
