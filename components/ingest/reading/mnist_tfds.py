"""MNIST as tensorflow-datasets prepared it, restored to the order of the original files.

TFDS_DATA_DIR/mnist/3.0.1/dataset_info.json
                          mnist-train.tfrecord-00000-of-00001 ...
"""

from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import SourceError
from components.ingest.reading.tfds_library import library_errors, require_records
from components.settings.sections import Ingest
from components.system.files import expanded

if TYPE_CHECKING:
    from components.data.splits import Images, Labels


def home(params: Ingest) -> Path:
    """The folder where tensorflow-datasets keeps its data: the one in the settings, or its own default."""
    return Path(params.tfds_dir or expanded("~/tensorflow_datasets"))


def prepared_folder(params: Ingest) -> Path | None:
    """The latest prepared version of mnist; None where there is none."""
    versions = home(params).glob("mnist/*/dataset_info.json")
    prepared = [path.parent for path in versions if any(path.parent.glob("*.tfrecord-*"))]
    return max(prepared, key=lambda folder: [int(n) for n in folder.name.split(".") if n.isdigit()], default=None)


def arrays(folder: Path, split: str, count: int) -> "tuple[Images, Labels]":
    """The *count* images (N, H, W, C) and labels (N,) of *split*, in the order of the original files.

    Raises SourceError where the folder is damaged, or holds another number of images.

    The key of an example is its original index. tensorflow-datasets sorts examples by a hash of their key, salted with
    the split's name (core/hashing.py, core/shuffle.py), so the same hash restores the order.
    """
    from components.system.tensorflow import tensorflow

    tensorflow()
    import numpy as np
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.hashing import Hasher

    require_records(folder)
    with library_errors("MNIST as tensorflow-datasets prepared it", folder):
        builder = tfds.builder_from_directory(folder)
        if (stored := builder.info.splits[split].num_examples) != count:
            raise SourceError(
                f"{folder} holds {stored:,} {split} images, expected {count:,}; remove it to have MNIST prepared again"
            )
        blocks = list(tfds.as_numpy(builder.as_dataset(split=split, as_supervised=True, batch_size=4096)))
        images = np.concatenate([block[0] for block in blocks])
        labels = np.concatenate([block[1] for block in blocks]).astype(np.int64)
    hasher = Hasher(split)
    original_index = sorted(range(len(labels)), key=hasher.hash_key)
    order = np.empty(len(labels), np.int64)
    order[original_index] = np.arange(len(labels))
    return images[order], labels[order]
