"""The check of validate: anomalies of the measured images against a schema. Loads neither NumPy nor Pillow."""

import json
from pathlib import Path

from components.artifact_files import DrawnSplit, Statistics
from components.errors import DataRejected
from components.findings import Finding
from components.settings.sections import Validate
from components.validate.anomalies import anomalies
from components.validate.schema import infer

REJECTION = DataRejected


def check(
    validate: Path, params: Validate, champion: Statistics | None, drawn: DrawnSplit | None = None
) -> list[Finding]:
    """The anomalies of the statistics, against the pinned schema where there is one, else the inferred one.

    *champion* holds the statistics of the images that the champion was trained on, where there is a champion; *drawn*
    describes the test split where ingest drew it. Raises ConfigError where the pinned schema cannot be read.
    """
    statistics: Statistics = json.loads((validate / "statistics.json").read_text(encoding="utf-8"))
    if not params.schema:
        return anomalies(statistics, infer(statistics), False, params, champion, drawn)
    from components.validate.schema_file import read

    return anomalies(statistics, read(Path(params.schema)), True, params, champion, drawn)
