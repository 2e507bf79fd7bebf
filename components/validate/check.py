"""The check of validate: anomalies of the measured images against a schema. Loads neither NumPy nor Pillow."""

import json
from pathlib import Path

from components.artifact_files import DrawnSplit, Statistics
from components.errors import DataRejected
from components.findings import Finding, errors
from components.settings.sections import Validate
from components.validate.anomalies import anomalies
from components.validate.class_changes import ChampionClasses, class_changes
from components.validate.schema import infer

REJECTION = DataRejected


def check(
    validate: Path,
    params: Validate,
    champion: Statistics | None,
    drawn: DrawnSplit | None = None,
    known: ChampionClasses | None = None,
) -> list[Finding]:
    """The anomalies of the statistics, against the pinned schema where there is one, else the inferred one.

    *champion* holds the statistics of the images that the champion was trained on, where there is a champion; *known*
    are its classes; *drawn* describes the test split where ingest drew it. Raises ConfigError where the pinned schema
    cannot be read.
    """
    statistics: Statistics = json.loads((validate / "statistics.json").read_text(encoding="utf-8"))
    changes = list(class_changes(statistics["classes"], known)) if known else []
    if errors(changes):  # the champion is of another project: drift from its images would say nothing
        champion = None
    return sorted([*_anomalies(statistics, params, champion, drawn), *changes], key=lambda finding: finding.severity)


def _anomalies(
    statistics: Statistics, params: Validate, champion: Statistics | None, drawn: DrawnSplit | None
) -> list[Finding]:
    if not params.schema:
        return anomalies(statistics, infer(statistics), False, params, champion, drawn)
    from components.validate.schema_file import read

    return anomalies(statistics, read(Path(params.schema)), True, params, champion, drawn)
