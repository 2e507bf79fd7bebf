"""The last lines of a run."""

from typing import Any, cast

from components.artifact_files import Metrics
from pipeline.run_record import RunRecord
from pipeline.summary import review, without_gate


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


def test_what_a_review_would_show_is_counted_with_its_command() -> None:
    """Suspects of all splits and mistakes; nothing where there are none."""

    def measured(suspects: int, wrong: int) -> Metrics:
        splits = {"test": {"n": 9, "suspects": 0}, "train": {"n": 9, "suspects": suspects}}
        return cast(Metrics, cast(Any, {"suspects": splits, "n": 1_500, "correct": 1_500 - wrong}))

    assert review(measured(12, 1_234)) == "12 suspected labels and 1,234 mistakes: make review"
    assert review(measured(1, 0)) == "1 suspected label: make review"
    assert review(measured(0, 1)) == "1 mistake: make review"
    assert review(measured(0, 0)) == review(None) == ""
