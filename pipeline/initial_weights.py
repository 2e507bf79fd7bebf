"""The weights that a training starts from (train.weights), found when the run begins, before any image is decoded.

A file can change and an alias moves, so the recipe of train holds the sha256 of the file.

    imagenet     the file of the network in $KERAS_HOME/models (~/.keras/models), downloaded where it is missing
    FILE.keras   a model file
    champion, 3  the model.keras of a registered version
"""

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
from components.system.files import sha256_of_file
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
    """The file of the ImageNet weights of the network, downloaded by Keras where it is missing."""
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
    from components.ingest.reading.network import reason, why_unreachable

    if problem := why_unreachable(file.url, SECONDS):
        raise ConfigError(
            f"train.weights is {IMAGENET}, and {file.url} cannot be reached ({reason(problem)}); {_by_hand(file, path)}"
        )
    import keras

    say(f"  downloading {file.name} ({file.size / 1e6:.0f} MB) to {path.parent}")
    try:
        keras.utils.get_file(
            file.name, file.url, cache_subdir="models", cache_dir=str(path.parents[1]), file_hash=file.md5 or None
        )
    except Exception as error:  # Keras raises nothing more specific
        raise ConfigError(f"{file.url} cannot be downloaded ({error}); {_by_hand(file, path)}") from None


def _by_hand(file: ImagenetFile, path: Path) -> str:
    md5 = f", md5 {file.md5}" if file.md5 else ""
    return f"put {file.name} ({file.size:,} bytes{md5}, from {file.url}) into {path.parent}"
