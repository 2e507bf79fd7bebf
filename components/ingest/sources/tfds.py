"""tfds:NAME, an image-classification set of tensorflow-datasets, downloaded and prepared on first use."""

import hashlib
import re
import urllib.error
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.image_ids import pixel_ids
from components.data.pictures.resizing import Resizing, Shape
from components.errors import DataRejected, SourceError, SourceUnreachable
from components.formatting import did_you_mean
from components.ingest.reading import network, summaries
from components.ingest.reading.content_split import SplitByContent
from components.ingest.reading.image_source import ImageSource, target_shape
from components.ingest.reading.tfds_library import MESSAGE_LENGTH, library_errors, paced_downloads, require_records
from components.settings.derived import image_shape
from components.settings.sections import Ingest

if TYPE_CHECKING:
    from components.data.splits import Images
    from components.ingest.reading.image_source import Block

SOURCE = "tfds:NAME"
UNUSED = ("labels", "file_column", "label_column", "split_column")
# tensorflow-datasets would take "huggingface:x" for the set x of another collection; a version has three parts
NAME = re.compile(r"tfds:[a-z0-9_]+(?:/[\w.-]+)?(?::[\d*]+(?:\.[\d*]+){2})?")
BLOCK_IMAGES = 256
SAMPLE = 500  # images, by whose sizes the one to read into is chosen
SECONDS_TO_ANSWER = 8.0
GONE = (404, 410)  # HTTP
LISTED = 10
WAY_OUT = "set TFDS_DATA_DIR to a folder where it is prepared, or use the digits of scikit-learn (SOURCE=digits)"
DAMAGED = re.compile("JSON|proto ")  # in what the library says of a description that it cannot read

Builder = Any  # tensorflow_datasets.core.DatasetBuilder, which is published without types


def serves(source: str) -> bool:
    """Whether *source* is tfds:NAME; raises SourceError where NAME cannot be the name of a data set."""
    if source.startswith("tfds:") and not NAME.fullmatch(source):
        raise SourceError(
            f"'{source}' does not name a data set; expected {SOURCE}, such as tfds:fashion_mnist or tfds:mnist:3.0.1,"
            " of tensorflow-datasets' own collection"
        )
    return source.startswith("tfds:")


def fingerprint(params: Ingest, cache: Path) -> str:
    """The data set's name and the version of the library that defines it."""
    return f"{params.source} of tensorflow-datasets {metadata.version('tensorflow-datasets')}"


def look(params: Ingest) -> None:
    """Return where the data set is prepared or its address answers; otherwise raise as `read` would."""
    name = params.source.removeprefix("tfds:")
    builder = _builder(name, params)
    with library_errors(f"tfds:{name}", Path(builder.data_dir)):
        if not builder.is_prepared():
            _expect_answer(name, builder)


def read(params: Ingest, cache: Path) -> ImageSource:
    """Prepare the data set and open it; the test split is its own, or chosen by the hash of each image."""
    name = params.source.removeprefix("tfds:")
    builder = _builder(name, params)
    folder = Path(builder.data_dir)
    with library_errors(f"tfds:{name}", folder):
        image, label = _features(name, builder)
        _prepare(name, builder)
        require_records(folder)
        splits = builder.info.splits
    if not splits:
        raise SourceError(f"{folder} is damaged: it names no split; remove it to have tfds:{name} prepared again")
    if "train" not in splits:
        raise SourceError(f"tfds:{name} has no split train, only {', '.join(splits)}; choose another data set")
    own = [split for split in ("train", "test") if split in splits]
    images = sum(splits[split].num_examples for split in own)
    with library_errors(f"tfds:{name}", folder):
        shape, notes = _shape(builder, image.shape, params)
    drawn = None if len(own) == 2 else SplitByContent(params.test_share)
    ids: dict[str, list[str]] = {} if tuple(image.shape) == shape else {"train": [], "test": []}
    return ImageSource(
        classes=[str(class_name) for class_name in label.names],
        shape=shape,
        images=images,
        blocks=_blocks(name, builder, own, _Reading(shape, Resizing.of(params), drawn, ids)),
        fingerprint=lambda: fingerprint(params, Path()),
        origin=str(builder.data_dir),
        version=str(builder.info.full_name),
        ids=ids,
        drawn=drawn,
        notes=notes,
    )


def _builder(name: str, params: Ingest) -> Builder:
    from components.system.tensorflow import tensorflow

    tensorflow()
    import absl.logging
    import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)  # it warns of a missing folder before it creates it
    set_name = re.split("[/:]", name)[0]
    with library_errors(f"tfds:{name}", Path(params.tfds_dir or "~/tensorflow_datasets", set_name)):
        try:
            return tfds.builder(name, data_dir=params.tfds_dir or None)
        except tfds.core.DatasetNotFoundError:
            known = tfds.list_builders(with_community_datasets=False)
            hint = did_you_mean(f"tfds:{name}", (f"tfds:{known_name}" for known_name in known))
            hint = hint or "https://www.tensorflow.org/datasets/catalog lists all"
            raise SourceError(f"tensorflow-datasets has no data set '{name}'; {hint}") from None
        except (ValueError, AssertionError) as error:  # a configuration or version that the data set does not have
            reason = " ".join(str(error).rpartition('}": ')[2].partition(" Here are ")[0].split())
            if DAMAGED.search(reason):
                raise
            raise SourceError(
                f"tfds:{name} cannot be opened: {reason[:MESSAGE_LENGTH]}{_configurations(name)}"
            ) from None


def _configurations(name: str) -> str:
    """The configurations that the data set of "SET/CONFIGURATION" has, as a hint."""
    import tensorflow_datasets as tfds

    configurations = list(tfds.builder_cls(name.partition("/")[0].partition(":")[0]).builder_configs)
    return f" Expected one of {', '.join(configurations[:LISTED])}." if "/" in name and configurations else ""


def _features(name: str, builder: Builder) -> tuple[Any, Any]:
    """The features image and label of the data set; raises SourceError where it is not for image classification."""
    import tensorflow_datasets as tfds

    keys, features = builder.info.supervised_keys, builder.info.features
    if keys and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = features[keys[0]], features[keys[1]]
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            return image, label
    raise SourceError(
        f"tfds:{name} is not for image classification: its supervised keys are {keys};"
        " expected an image and a class label, as tfds:fashion_mnist has"
    )


def _prepare(name: str, builder: Builder) -> None:
    """Download and prepare the data set if necessary; raises SourceUnreachable, soon, where there is no network."""
    if builder.is_prepared():
        return
    _expect_answer(name, builder)
    import requests
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    sizes = {url: info.size for url, info in (builder.url_infos or {}).items() if info}
    try:
        with paced_downloads(sizes):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise SourceUnreachable(f"tfds:{name} cannot be downloaded ({error}); {WAY_OUT}") from None


def _expect_answer(name: str, builder: Builder) -> None:
    """Raise SourceUnreachable where the first address of the data set does not answer; SourceError where it is gone."""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise SourceError(
            f"tfds:{name} has to be downloaded manually: {' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
        )
    for url in list(builder.url_infos or {})[:1]:
        problem = network.why_unreachable(url, SECONDS_TO_ANSWER)
        if isinstance(problem, urllib.error.HTTPError):  # others may be of a server that refuses what is no download
            if problem.code in GONE:
                raise SourceError(f"tfds:{name} cannot be downloaded: {url} answers {problem.code}; {WAY_OUT}")
        elif problem:
            raise SourceUnreachable(
                f"tfds:{name} cannot be downloaded: {url} does not answer ({network.reason(problem)}); {WAY_OUT}"
            )


def _shape(builder: Builder, own: tuple[int | None, ...], params: Ingest) -> tuple[Shape, list[str]]:
    """The shape to read into, and a note where the images differ in size: then the first ones decide."""
    height, width, channels = own
    if height is not None and width is not None:
        return target_shape((height, width, 1 if channels in (1, 2) else 3), params), []
    train = builder.as_dataset(split="train", as_supervised=True).as_numpy_iterator()
    sizes = Counter(image.shape[:2] for image, _ in islice(train, SAMPLE))
    shape = target_shape((*image_shape(sizes), 1 if channels in (1, 2) else 3), params)
    return shape, [f"in a sample, {note}" for note in summaries.sizes(sizes, shape, params)]


@dataclass(frozen=True)
class _Reading:
    """How images are read; *ids* takes the identity of each, by split, where it is not empty."""

    shape: Shape
    resizing: Resizing
    drawn: SplitByContent | None
    ids: dict[str, list[str]]


def _blocks(name: str, builder: Builder, splits: list[str], reading: _Reading) -> "Iterator[Block]":
    with library_errors(f"tfds:{name}", Path(builder.data_dir)):
        for split in splits:
            yield from _of_split(builder, split, reading)


def _of_split(builder: Builder, split: str, reading: _Reading) -> "Iterator[Block]":
    import numpy as np

    from components.data.pictures.decoding import resized

    images: dict[str, list[Images]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    for image, label in builder.as_dataset(split=split, as_supervised=True).as_numpy_iterator():
        target = reading.drawn.split(hashlib.sha256(image.tobytes()).hexdigest()) if reading.drawn else split
        if image.dtype != "uint8":
            raise DataRejected(f"tfds:{builder.name} has images with values of type {image.dtype}; expected uint8")
        if reading.ids:
            reading.ids[target] += pixel_ids(image[None])
        images[target].append(resized(image[None], reading.shape, reading.resizing))
        labels[target].append(int(label))
        if len(labels[target]) == BLOCK_IMAGES:
            yield target, np.concatenate(images[target]), np.array(labels[target], np.int64)
            images[target], labels[target] = [], []
    for remaining in ("train", "test"):
        if labels[remaining]:
            yield remaining, np.concatenate(images[remaining]), np.array(labels[remaining], np.int64)
