"""The two grades: exact where machine and threads are the same, equivalent where they are not."""

from typing import Any

import pytest

from components.promote.comparison import Comparison
from pipeline.reproduce.comparison import Alike, Compared, Result

SAME, OTHER = Compared(equal=True), Compared(equal=False)
THREADS = ["3 threads here, 2 then"]


def alike(*, gained: int = 1, lost: int = 2, same: int = 990, p: float = 1.0, seeds: tuple[float, ...] = ()) -> Alike:
    """Of 1,000 test images the original has 970 right."""
    return Alike(Comparison(1000, 970 + gained - lost, 970, gained, lost, p), same, seeds)


def result(ingest: Compared = SAME, normalize: Compared = SAME, train: Compared = SAME, **facts: Any) -> Result:
    stages = {"ingest": ingest, "normalize": normalize, "train": train}
    return Result("3", stages, facts.pop("machines", []), **facts)


def test_the_same_bytes_on_the_same_machine_are_exact() -> None:
    assert (result().grade, result().exit_status) == ("exact", 0)
    assert str(result()) == "ingest equal, normalize equal, train equal: bit for bit the model of version 3"


def test_other_bytes_on_the_same_machine_are_no_reproduction() -> None:
    """However alike the models are: something that is not recorded changed them."""
    found = result(train=OTHER, alike=alike(same=1000))
    assert (found.grade, found.exit_status) == ("none", 4)
    assert "although code, settings, packages and machine are the same" in str(found)


def test_with_another_number_of_threads_it_is_equivalent_and_never_exact() -> None:
    """Where the bytes are the same by chance, that is said."""
    found = result(train=OTHER, machines=THREADS, alike=alike())
    assert (found.grade, found.exit_status) == ("equivalent", 0)
    assert str(found).endswith("train differs: 3 threads here, 2 then")
    lucky = result(machines=THREADS)
    assert lucky.grade == "equivalent"
    assert str(lucky).endswith("bit for bit the model of version 3, although 3 threads here, 2 then")


@pytest.mark.parametrize(
    "beside",
    [alike(gained=5, lost=30, p=2.6e-05), alike(same=940), None],
    ids=["another accuracy", "other mistakes", "nothing to compare"],
)
def test_a_model_that_answers_otherwise_is_not_equivalent(beside: Alike | None) -> None:
    found = result(train=OTHER, machines=THREADS, alike=beside)
    assert (found.grade, found.exit_status) == ("none", 4)


LESS: dict[str, Any] = {"gained": 5, "lost": 30, "p": 2.6e-05, "same": 960}  # 945 right
SPREAD = (0.97, 0.945, 0.968, 0.952, 0.961)


def test_what_the_seed_alone_changes_as_much_is_equivalent() -> None:
    """Where the registry has five such versions: then the range of their accuracies counts, and is shown."""
    assert result(train=OTHER, machines=THREADS, alike=alike(**LESS, seeds=SPREAD)).grade == "equivalent"
    assert alike(**LESS, seeds=SPREAD).spread == "5 versions that differ in the seed alone have 94.50 % to 97.00 %"
    assert alike(**LESS, seeds=SPREAD[:4]).spread == ""


@pytest.mark.parametrize(
    "beside",
    [
        alike(**LESS, seeds=SPREAD[:4]),
        alike(**LESS, seeds=(0.97, 0.946, 0.968, 0.952, 0.961)),
        alike(**LESS | {"same": 930}, seeds=SPREAD),
    ],
    ids=["four versions", "below all of them", "other mistakes"],
)
def test_outside_the_range_of_the_seeds_it_is_not(beside: Alike) -> None:
    assert result(train=OTHER, machines=THREADS, alike=beside).grade == "none"


def test_a_few_other_mistakes_are_chance() -> None:
    """Two trainings of 97 % each do not err on the same images alone."""
    assert result(train=OTHER, machines=THREADS, alike=alike(same=965)).grade == "equivalent"


def test_other_data_are_said_before_the_model() -> None:
    """Exit status 3, with the image; the machines explain whole numbers in no way."""
    found = result(ingest=Compared(equal=False, why=["cats/1.png was changed"]), normalize=OTHER, machines=THREADS)
    assert found.exit_status == 3
    assert str(found) == "ingest differs, normalize differs, train equal: cats/1.png was changed"


@pytest.mark.parametrize(("status", "expected"), [(1, 1), (2, 2), (3, 3), (4, 4), (-9, 1), (130, 1)])
def test_a_run_that_ended_early_says_why_and_whether_another_one_may_not(status: int, expected: int) -> None:
    """By its own exit status where that says that another try would end in the same way."""
    ended = Result("3", {"ingest": SAME, "normalize": SAME}, [], error="the disk is full", status=status)
    assert (ended.grade, ended.exit_status) == ("none", expected)
    assert str(ended) == "ingest equal, normalize equal: the run ended before train: the disk is full"
