"""The drawing of a model's history."""

from itertools import pairwise

from pipeline.measured import UNKNOWN, Figures
from pipeline.model_history import Event, Kind
from pipeline.model_pages.champion_chart import MOST, champion_chart


def event(kind: Kind, accuracy: float, version: str = "1", day: int = 1) -> Event:
    figures = Figures(accuracy, accuracy - 0.01, min(accuracy + 0.01, 1.0), 1_000)
    return Event(time=f"2026-11-{day:02}T03:00:00Z", name="cats", kind=kind, version=version, figures=figures)


def test_the_newest_is_at_the_right_and_the_better_is_higher() -> None:
    """Events come the newest first."""
    chart = champion_chart([event("promoted", 0.98, "2", day=8), event("promoted", 0.96, "1")])
    assert chart
    old, new = chart.marks
    assert (old.version, new.version) == ("1", "2")
    assert old.x < new.x
    assert old.y > new.y
    assert new.high < new.y < new.low


def test_the_line_steps_at_each_champion_and_goes_on_to_the_right_end() -> None:
    """A refused model has a mark, and no part in the line."""
    happened = [event("rolled back", 0.96), event("refused", 0.95), event("promoted", 0.98), event("promoted", 0.96)]
    chart = champion_chart(happened)
    assert chart
    first, second, _, third = chart.marks
    corners = [tuple(map(float, point.split(","))) for point in chart.line.split()]
    assert corners == [
        *((first.x, first.y), (second.x, first.y), (second.x, second.y)),
        *((third.x, second.y), (third.x, third.y), (chart.right, third.y)),
    ]
    assert [mark.tone for mark in chart.marks] == ["champion", "champion", "refused", "champion"]


def test_a_model_far_below_does_not_flatten_the_others() -> None:
    """It is drawn at the lower edge, as an arrow."""
    chart = champion_chart([event("refused", 0.2), event("promoted", 0.98), event("promoted", 0.96)])
    assert chart
    assert [mark.below for mark in chart.marks] == [False, False, True]
    assert chart.marks[0].y - chart.marks[1].y > 40
    near = champion_chart([event("refused", 0.95), event("promoted", 0.98)])
    assert near
    assert not any(mark.below for mark in near.marks)


def test_a_date_is_written_once_and_where_there_is_room() -> None:
    """Ten runs of one day have one date; of many days not all fit."""
    day = champion_chart([event("promoted", 0.98) for _ in range(10)])
    assert day
    assert [date.text for date in day.dates] == ["2026-11-01"]
    month = champion_chart([event("promoted", 0.98, day=number) for number in range(28, 0, -1)])
    assert month
    places = [date.x for date in month.dates]
    assert len(places) > 5
    assert all(after - before >= 100 for before, after in pairwise(places))


def test_of_many_events_the_newest_are_drawn() -> None:
    """Events of unknown accuracy are left out; where all are, there is no chart."""
    chart = champion_chart([event("promoted", 0.98, str(number)) for number in range(100, 0, -1)])
    assert chart
    assert [mark.version for mark in chart.marks][:: MOST - 1] == ["41", "100"]
    unknown = Event(time="2026-11-01T03:00:00Z", name="cats", kind="promoted", version="1", figures=UNKNOWN)
    assert champion_chart([unknown]) is None
    assert champion_chart([]) is None


def test_one_perfect_model_can_be_drawn() -> None:
    """The axis ends at 100 %, whatever the interval."""
    chart = champion_chart([event("promoted", 1.0)])
    assert chart
    assert chart.ticks[-1].text == "100"
    assert "version 1, 100.00 %" in chart.description


def test_a_version_that_a_person_decided_on_has_one_mark() -> None:
    """That it waited, and that it was approved, comes before what became of it; a rejected one leaves the champion."""
    happened = [event("rejected", 0.99, "3"), event("waiting", 0.99, "3")]
    happened += [event("promoted", 0.98, "2"), event("approved", 0.98, "2"), event("waiting", 0.98, "2")]
    chart = champion_chart(happened)
    assert chart
    assert [(mark.version, mark.tone) for mark in chart.marks] == [("2", "champion"), ("3", "kept")]
