"""Validate: measure the ingested images, infer a schema from them, and judge what was measured.

The stage only measures; every bound is applied by `check`, so that a new bound judges again and makes nothing again.
This module loads neither NumPy nor Pillow: a run that reuses everything still asks `check`.
"""

import json
from pathlib import Path
from typing import Any

from components.errors import DataRejected
from components.findings import Finding
from components.settings.sections import Validate
from components.validate import schema
from components.validate.anomalies import anomalies

REJECTION = DataRejected


def validate(ingest: Path, out: Path) -> dict[str, Any]:
    """Write what there is to know about the ingested images to *out*.

    out/
      statistics.json   see components/data/statistics.py
      schema.json       see components/validate/schema.py; copy it, edit it, pin the copy by validate.schema
      pictures/         class-histogram.png, contact-*.png (see components/validate/figures.py)
    """
    from components.data.statistics import measure
    from components.validate.figures import draw

    statistics = measure(ingest)
    text = json.dumps(statistics, indent=2, sort_keys=True, allow_nan=False)
    (out / "statistics.json").write_text(text + "\n", encoding="utf-8")
    schema.write(schema.infer(statistics), out / "schema.json")
    draw(ingest, statistics, out / "pictures")
    return {
        "images": {name: split["images"] for name, split in statistics["splits"].items()},
        "duplicates": {name: split["duplicates"]["count"] for name, split in statistics["splits"].items()},
        "leaked": statistics["leaked"]["count"],
    }


def check(validate: Path, params: Validate, champion: dict[str, Any] | None) -> list[Finding]:
    """The anomalies of what was measured, against the pinned schema where there is one, else the data's own.

    *champion* holds the statistics of the images that the champion was trained on, where there is a champion. Raises
    ConfigError where the pinned schema cannot be read.
    """
    statistics = json.loads((validate / "statistics.json").read_text(encoding="utf-8"))
    pinned = bool(params.schema)
    expected = schema.read(Path(params.schema).expanduser()) if pinned else schema.infer(statistics)
    return anomalies(statistics, expected, pinned, params, champion)
