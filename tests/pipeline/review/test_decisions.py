"""Decisions of a review: what they append to the file of corrections, and what others see of it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from components.data.corrections import Corrections, Labels, append
from pipeline.review.decisions import Counts, Decisions, Meanwhile
from pipeline.review.queue import Item
from pipeline.review.reported import KeptPictures

A, B = "a" * 64, "b" * 64
PNG = b"\x89PNG\r\n\x1a\n..."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "corrections" / "digits.jsonl"


@pytest.fixture
def decisions(file: Path) -> Decisions:
    return opened(file)


def opened(file: Path, who: str = "ann", applied: Mapping[str, Labels] | None = None) -> Decisions:
    return Decisions(file, who, KeptPictures(file.parent / "digits-pictures"), applied)


def item(*labels: tuple[str, str], picture: bytes = b"") -> Item:
    return Item(labels[0][0], labels, ("image",), (), picture=picture)


def line(decisions: Decisions, of: Item) -> int:
    found = decisions.of([of])
    return found[of.id].line if found else 0


def test_a_decision_is_read_back_by_another_review(decisions: Decisions, file: Path) -> None:
    """With its choice, its class and who took it."""
    kept, relabelled, dropped, open_one = item((A, "3")), item((B, "4")), item(("c" * 64, "5")), item(("d" * 64, "6"))
    decisions.decide(kept, "keep", "", 0)
    decisions.decide(relabelled, "relabel", "9", 0)
    decisions.decide(dropped, "drop", "", 0)
    found = opened(file, "bob").of([kept, relabelled, dropped, open_one])
    assert {name: (each.choice, each.label, each.who) for name, each in found.items()} == {
        kept.id: ("keep", "3", "ann"),
        relabelled.id: ("relabel", "9", "ann"),
        dropped.id: ("drop", "", "ann"),
    }
    assert Corrections.read(file).effective == {B: {"4": "9"}, dropped.id: {"5": None}}
    assert decisions.counts() == Counts(relabelled=1, dropped=1, pictures=0)


def test_another_decision_replaces_the_first_and_disagrees_with_none(decisions: Decisions, file: Path) -> None:
    """It takes the first back."""
    of = item((A, "3"))
    decisions.decide(of, "relabel", "7", 0)
    decisions.decide(of, "relabel", "8", line(decisions, of))
    assert Corrections.read(file).effective == {A: {"3": "8"}}
    assert Corrections.read(file).disagreeing == []
    decisions.undo(of, line(decisions, of))
    assert decisions.of([of]) == {}
    assert len(file.read_text().splitlines()) == 4  # it is only ever appended to


@pytest.mark.parametrize(
    ("choice", "label", "effective", "counts"),
    [
        ("relabel", "cat", {A: {"dog": "cat"}, B: {"dog": "cat"}}, Counts(2, 0, 0)),
        ("drop", "", {A: {"cat": None, "dog": None}, B: {"dog": None}}, Counts(0, 2, 0)),
        ("keep", "", {}, Counts(0, 0, 0)),
    ],
)
def test_copies_are_decided_about_together(
    decisions: Decisions, file: Path, choice: str, label: str, effective: object, counts: Counts
) -> None:
    """Of two files, of which one lies below two classes; taking it back takes all of it back."""
    of = item((A, "cat"), (A, "dog"), (B, "dog"))
    decisions.decide(of, choice, label, 0)  # type: ignore[arg-type]
    assert Corrections.read(file).effective == effective
    assert decisions.counts() == counts
    assert decisions.of([of])[of.id].choice == choice
    decisions.undo(of, line(decisions, of))
    assert Corrections.read(file).decisions == {}


def test_what_was_decided_elsewhere_meanwhile_stays(decisions: Decisions, file: Path) -> None:
    """Neither a decision nor an undo of what the page did not show."""
    of = item((A, "3"))
    opened(file, "bob").decide(of, "drop", "", 0)
    before = file.read_bytes()
    with pytest.raises(Meanwhile):
        decisions.decide(of, "keep", "", 0)
    with pytest.raises(Meanwhile):
        decisions.undo(of, 0)
    assert file.read_bytes() == before
    assert decisions.of([of])[of.id].who == "bob"


def test_after_the_next_run_an_image_is_decided_under_its_new_label(decisions: Decisions) -> None:
    """Which is the label that ingest has given it by then; a copy that is open keeps an item open."""
    decisions.decide(item((A, "3")), "relabel", "8", 0)
    assert decisions.of([item((A, "8"))])[A].choice == "relabel"
    assert decisions.of([item((A, "8"), (B, "8"))]) == {}


@pytest.mark.parametrize("taken_back", [False, True], ids=["decided again", "after an undo"])
@pytest.mark.parametrize(
    ("choice", "label", "becomes"),
    [("relabel", "9", "9"), ("relabel", "3", "3"), ("keep", "", "8"), ("drop", "", None)],
)
def test_a_decision_after_a_retraining_is_about_the_label_of_the_source(
    decisions: Decisions, file: Path, taken_back: bool, choice: str, label: str, becomes: str | None
) -> None:
    """Which is 3 and that the run has corrected to 8; what another user has decided before stays as it was."""
    append(file, A, "3", "7", who="bob", when="2026-11-27T08:00:00+00:00")
    append(file, A, "3", "8", who="ann", when="2026-11-27T09:00:00+00:00")
    later, of = opened(file, applied=Corrections.read(file).effective), item((A, "8"))
    if taken_back:
        later.undo(of, line(later, of))
        assert Corrections.read(file).effective == {A: {"3": "7"}}
    later.decide(of, choice, label, line(later, of))  # type: ignore[arg-type]
    assert Corrections.read(file).effective.get(A, {}).get("3", "3") == becomes
    assert later.counts() == (Counts(0, 1, 0) if becomes is None else Counts(1, 0, 0))
    later.undo(of, line(later, of))
    assert Corrections.read(file).effective == ({} if taken_back else {A: {"3": "7"}})


def test_an_image_that_is_dropped_under_one_label_alone_counts_as_relabelled(decisions: Decisions, file: Path) -> None:
    """Each image counts once, as in the note of the next run."""
    append(file, A, "3", None)
    append(file, A, "5", "6")
    assert decisions.counts() == Counts(relabelled=1, dropped=0, pictures=0)


def test_a_picture_of_a_user_is_kept_below_its_class_alone(decisions: Decisions, file: Path) -> None:
    """Until the decision is taken back; it corrects no image of the data."""
    of, folder = item((A, "3"), picture=PNG), file.parent / "digits-pictures"

    def kept() -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))

    steps: list[tuple[Callable[[], None], list[str]]] = [
        (lambda: decisions.decide(of, "keep", "", 0), [f"3/{A}.png"]),
        (lambda: decisions.decide(of, "relabel", "8", line(decisions, of)), [f"8/{A}.png"]),
        (lambda: decisions.undo(of, line(decisions, of)), []),
        (lambda: decisions.decide(of, "drop", "", 0), []),
        (lambda: decisions.decide(of, "relabel", "9", line(decisions, of)), [f"9/{A}.png"]),
    ]
    for act, expected in steps:
        act()
        assert kept() == expected
    assert (folder / "9" / f"{A}.png").read_bytes() == PNG
    assert decisions.counts() == Counts(relabelled=0, dropped=0, pictures=1)
    assert Corrections.read(file).effective == {}
