"""What a report says about how a run ended."""

import pytest

from components.errors import PromotionRejected
from pipeline.report.content import Verdict, verdict
from pipeline.run_record import Done, RunRecord


@pytest.mark.parametrize(
    ("outcome", "aliases", "expected"),
    [
        ("promoted", ["challenger", "champion"], "promoted"),
        ("unchanged", ["challenger", "champion"], "promoted"),
        ("left to a user", ["challenger"], "registered"),
        ("undecided", ["challenger"], "undecided"),
    ],
)
def test_a_run_whose_test_images_could_not_tell_is_neither_promoted_nor_rejected(
    outcome: str, aliases: list[str], expected: Verdict
) -> None:
    """It ended well, and the champion stayed."""
    record = RunRecord("r", "", model={"aliases": aliases}, promotion={"outcome": outcome})
    assert verdict(record, None) == "unfinished"
    record.stages = [Done("promote", "k", "d", "p", made=False, seconds=1.0)]
    assert verdict(record, None) == expected
    assert verdict(record, PromotionRejected("worse")) == "not promoted"
