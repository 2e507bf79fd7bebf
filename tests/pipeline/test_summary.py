"""The last lines of a run."""

from typing import Any, cast

from components.artifact_files import Metrics
from pipeline.run_record import RunRecord
from pipeline.summary import without_gate


def test_where_no_accuracy_is_required_the_command_that_requires_it_can_be_pasted() -> None:
    """The source quoted, the settings of the run repeated, the bound that was reached; with a bound nothing is said."""
    record = RunRecord(
        "r", "", source="/home/me/my cats", settings={"gate.min_accuracy": 0.0}, chosen={"train.seed": 3}
    )
    metrics = cast(Metrics, cast(Any, {"wilson_low": 0.9634}))
    assert without_gate(record, metrics).endswith(
        "-m pipeline run --source '/home/me/my cats' --set train.seed=3 --set gate.min_accuracy=0.96"
    )
    assert without_gate(record, None) == ""
    record.settings["gate.min_accuracy"] = 0.9
    assert without_gate(record, metrics) == ""
