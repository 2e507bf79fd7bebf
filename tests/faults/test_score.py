"""What the attack counts, prints, and tries next."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.faults.__main__ import LABELS, WEIGHTS, Score, attempt
from tests.faults.bench import Answer, Bench
from tests.faults.families import Outcome

NOWHERE = cast(Bench, Path())  # these families attack nothing


class Every:
    """Fails at every third number."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def numbers(self, seed: int) -> Iterator[int]:
        return iter(range(6))

    def attempt(self, bench: Bench, seed: int, number: int) -> Outcome:
        return Outcome(2, ["lost"] if number % 3 == 0 else [])


def test_failures_are_counted_and_printed_with_the_command_that_repeats_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Tried are faults, of which an attempt may have several."""
    score, family = Score(), Every("point in train")
    while turn := score.next([family], 7):
        attempt(NOWHERE, score, 7, *turn)
    assert "FAILED point in train: lost\n  python -m tests.faults --seed 7 --kind 'point in train' --number 3" in (
        capsys.readouterr().out
    )
    assert score.table().splitlines()[2:] == ["| point in train | 12 | 2 |", "| all | 12 | 2 |"]


def test_an_attack_says_every_so_often_what_it_has_tried() -> None:
    """A line of progress adds up the kinds of a group."""
    score = Score()
    assert score.line() == "nothing tried, 0 failed"
    for kind in ("point in train", "point in export", "random kill"):
        for number in range(4):
            attempt(NOWHERE, score, 7, Every(kind), number)
    assert score.line() == "16 points, 8 kills tried, 6 failed"
    assert LABELS.keys() == WEIGHTS.keys()


def test_each_kind_gets_its_share_of_the_time() -> None:
    """The next attempt is of the kind that had the least of it."""
    score, kinds = Score(), [Every("random kill"), Every("damaged file")]
    for seconds in itertools.repeat(3.0, 11):
        turn = score.next(kinds, 1)
        assert turn
        score.seconds[turn[0].kind] += seconds
    share = score.seconds["damaged file"] / score.seconds["random kill"]
    assert share == pytest.approx(20 / 24, rel=0.01)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"status": 0}, ""),
        ({"status": 1, "err": "error: the disk is full\n"}, ""),
        ({"status": 1, "err": "what happened\n"}, "exit status 1 without an error: what happened\n"),
        ({"status": 3, "err": "error: no good images\n"}, "exit status 3: error: no good images\n"),
        ({"status": 1, "err": "Traceback (most recent call last):\n"}, "a traceback"),
        ({"status": -9, "silent": True}, "a hang"),
        ({"status": 0, "left": 2}, "2 processes were left behind"),
    ],
)
def test_how_a_disturbed_command_may_end(answer: dict[str, object], problem: str) -> None:
    """With success, or with status 1 and a sentence."""
    end = Answer(**{"status": 0, "out": "", "err": "", "seconds": 1, "silent": False, "left": 0, "memory": 0} | answer)  # type: ignore[arg-type]
    assert end.problem(0, 1).startswith(problem)
    assert bool(end.problem(0, 1)) == bool(problem)
