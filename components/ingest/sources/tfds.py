"""tfds:NAME, an image-classification set of tensorflow-datasets, downloaded and prepared where it is not yet."""

import difflib
import hashlib
import urllib.error
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import DataRejected, SourceError, SourceUnreachable
from components.ingest.sources import mnist_download
from components.ingest.sources.base import Contents, Shape, is_test, wanted
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.data.splits import Images
    from components.ingest.sources.base import Block

TOGETHER = 256
SECONDS_TO_ANSWER = 8.0
MESSAGE, NAMED = 300, 10


def fingerprint(params: Ingest, cache: Path) -> str:
    """The set's name and the version of the library that defines it."""
    return f"{params.source} of tensorflow-datasets {metadata.version('tensorflow-datasets')}"


def read(params: Ingest) -> Contents:
    """Prepare the set and open it; the test split is its own, or chosen by the hash of each image."""
    name = params.source.removeprefix("tfds:")
    builder = _builder(name, params)
    image, label = _features(name, builder)
    _prepare(name, builder)
    shape = _shape(name, image.shape, params)
    splits = builder.info.splits
    if "train" not in splits:
        raise SourceError(f"tfds:{name} has no split train, only {', '.join(splits)}; take another set")
    own = [split for split in ("train", "test") if split in splits]
    return Contents(
        classes=[str(one) for one in label.names],
        shape=shape,
        images=sum(splits[split].num_examples for split in own),
        blocks=_blocks(builder, own, shape, params),
        fingerprint=lambda: fingerprint(params, Path()),
        facts={"from": str(builder.data_dir), "version": str(builder.info.full_name)},
    )


def _builder(name: str, params: Ingest) -> Any:
    from components.system.tensorflow import tensorflow

    tensorflow()
    import absl.logging
    import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)  # it warns of a folder that is not there before it makes it
    try:
        return tfds.builder(name, data_dir=params.tfds_dir or None)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean 'tfds:{near[0]}'?" if near else "https://www.tensorflow.org/datasets/catalog lists all"
        raise SourceError(f"tensorflow-datasets has no set '{name}'; {hint}") from None
    except (ValueError, AssertionError) as error:  # a configuration or version that the set does not have
        reason = " ".join(str(error).rpartition('}": ')[2].partition(" Here are ")[0].split())
        raise SourceError(f"tfds:{name} cannot be opened: {reason[:MESSAGE]}{_configurations(name)}") from None


def _configurations(name: str) -> str:
    """What the set of "SET/CONFIGURATION" has, as a hint."""
    import tensorflow_datasets as tfds

    configurations = list(tfds.builder_cls(name.partition("/")[0].partition(":")[0]).builder_configs)
    return f" Expected one of {', '.join(configurations[:NAMED])}." if "/" in name and configurations else ""


def _features(name: str, builder: Any) -> tuple[Any, Any]:
    """The features image and label of the set; raises SourceError where it is not for image classification."""
    import tensorflow_datasets as tfds

    keys, features = builder.info.supervised_keys, builder.info.features
    if keys and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = features[keys[0]], features[keys[1]]
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            return image, label
    raise SourceError(
        f"tfds:{name} is not for image classification: it teaches {keys or 'nothing in particular'};"
        " expected an image and a class label, as tfds:fashion_mnist has"
    )


def _prepare(name: str, builder: Any) -> None:
    """Download and prepare the set where it is not; raises SourceUnreachable, soon, where there is no network."""
    if builder.is_prepared():
        return
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise SourceError(
            f"tfds:{name} is downloaded by hand: {' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
        )
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    way_out = (
        "set TFDS_DATA_DIR to a folder where it is prepared, or take the digits inside scikit-learn (SOURCE=digits)"
    )
    for url in list(builder.url_infos or {})[:1]:
        problem = mnist_download.silence(url, SECONDS_TO_ANSWER)
        if problem and not isinstance(problem, urllib.error.HTTPError):
            raise SourceUnreachable(
                f"tfds:{name} cannot be downloaded: {url} does not answer ({mnist_download.told(problem)}); {way_out}"
            )
    tfds.disable_progress_bar()
    downloader.MAX_RETRIES = 3  # its 10 wait for 200 s in all
    try:
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise SourceUnreachable(f"tfds:{name} cannot be downloaded ({error}); {way_out}") from None


def _shape(name: str, own: tuple[int | None, ...], params: Ingest) -> Shape:
    """The shape to read into; raises DataRejected where the images differ in size and no size is set."""
    height, width, channels = own
    if (height is None or width is None) and not params.image_size:
        raise DataRejected(
            f"the images of tfds:{name} differ in size; bring them to one with --set ingest.image_size=64, for example"
        )
    return wanted((height or 0, width or 0, 1 if channels in (1, 2) else 3), params)


def _blocks(builder: Any, splits: list[str], shape: Shape, params: Ingest) -> "Iterator[Block]":
    import numpy as np

    for split in splits:
        images: dict[str, list[Images]] = {"train": [], "test": []}
        labels: dict[str, list[int]] = {"train": [], "test": []}
        for image, label in builder.as_dataset(split=split, as_supervised=True).as_numpy_iterator():
            goes_to = split if len(splits) == 2 else _chosen(image, params.test_share)
            images[goes_to].append(_fitted(image, shape))
            labels[goes_to].append(int(label))
            if len(labels[goes_to]) == TOGETHER:
                yield goes_to, np.concatenate(images[goes_to]), np.array(labels[goes_to], np.int64)
                images[goes_to], labels[goes_to] = [], []
        for rest in ("train", "test"):
            if labels[rest]:
                yield rest, np.concatenate(images[rest]), np.array(labels[rest], np.int64)


def _chosen(image: "Images", share: float) -> str:
    return "test" if is_test(hashlib.sha256(image.tobytes()).hexdigest(), share) else "train"


def _fitted(image: "Images", shape: Shape) -> "Images":
    """*image* (H, W, C) as (1, *shape)."""
    from components.ingest.sources.decoding import fit

    if image.dtype != "uint8":
        raise DataRejected(f"an image has values of type {image.dtype}; expected uint8")
    return fit(image[None], shape)
