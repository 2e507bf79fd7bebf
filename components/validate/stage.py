"""Validate: measure the ingested images and infer a schema from them; `check` judges what was measured."""

import json
from pathlib import Path
from typing import TypedDict

from components.data import problems
from components.data.statistics import compute_statistics
from components.validate.figures import draw
from components.validate.schema import infer


class Facts(TypedDict):
    images: dict[str, int]
    duplicates: dict[str, int]
    leaked: int


def validate(ingest: Path, out: Path) -> Facts:
    """Write the statistics, the inferred schema and figures of the ingested images to *out*.

    out/
      statistics.json   see components/data/statistics.py
      problems.csv      every image with a problem, see components/data/problems.py
      schema.json       see components/validate/schema.py; copy it, edit it, pin the copy by validate.schema
      pictures/         class-histogram.png, contact-*.png, problem-*.png (see components/validate/figures.py)
    """
    statistics, rows = compute_statistics(ingest)
    _dump(out / "statistics.json", statistics)
    _dump(out / "schema.json", infer(statistics))
    problems.write(rows, out)
    draw(ingest, statistics, rows, out / "pictures")
    splits = statistics["splits"]
    return {
        "images": {name: split["images"] for name, split in splits.items()},
        "duplicates": {name: split["duplicates"]["count"] for name, split in splits.items()},
        "leaked": statistics["leaked"]["count"],
    }


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
