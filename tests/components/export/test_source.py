"""What export formats are written from."""

from pathlib import Path

import numpy as np

from components.data.splits import SplitWriter
from components.export.source import Source
from components.settings.sections import Export
from tests.support.model_description import described


def test_int8_is_calibrated_on_as_many_training_images_as_the_setting_says(tmp_path: Path) -> None:
    """Never on test images, which would then measure what was fitted to them."""
    shades = {"train": range(0, 100), "validation": range(100, 150), "test": range(150, 200)}
    for name, values in shades.items():
        with SplitWriter(tmp_path / name, (2, 2, 1)) as out:
            pixels = np.array(values, np.uint8)[:, None, None, None]
            out.add(np.broadcast_to(pixels, (len(values), 2, 2, 1)).copy(), np.arange(len(values)) % 2)
    params = Export(formats="int8", calibration_images=23)
    source = Source(None, Path(), tmp_path, tmp_path, params, described(["a", "b"], (2, 2, 1), "things"))
    assert len(source.calibration) == 23
    assert {int(image[0, 0, 0]) for image in source.calibration} <= {*shades["train"]}
