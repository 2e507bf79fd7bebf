"""The one batched prediction: every image once, in order, whatever the batch size."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from components.data.splits import Split, SplitWriter
from components.models.prediction import predict


@pytest.mark.parametrize("batch_size", [1, 4, 10, 100])
def test_every_image_is_predicted_once_in_order(tmp_path: Path, batch_size: int) -> None:
    """The rows are those of the images, and no batch is larger than allowed."""
    pixels = np.arange(10, dtype=np.uint8)
    with SplitWriter(tmp_path / "test", (1, 1, 1)) as split:
        split.add(pixels[:, None, None, None], np.zeros(10, np.int64))
    sizes: list[int] = []

    def model(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        sizes.append(len(images))
        return images.reshape(-1, 1).astype(np.float32)

    predictions = predict(model, Split(tmp_path / "test"), batch_size)
    assert predictions[:, 0].tolist() == pixels.tolist()
    assert max(sizes) == min(batch_size, 10)
