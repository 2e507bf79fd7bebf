"""Whether a challenger is worse by more than a margin: the two tests, the bounds, the images that it takes."""

import math
from statistics import NormalDist

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.promotion import rates
from components.metrics import mcnemar
from components.promote import noninferiority
from components.promote.noninferiority import Paired, bounds, images_needed, judge, score


@st.composite
def pairs(draw: st.DrawFn) -> Paired:
    n = draw(st.integers(1, 3000))
    gained = draw(st.integers(0, n))
    return Paired(n, gained, draw(st.integers(0, n - gained)))


@given(pairs())
def test_without_a_margin_the_score_is_that_of_mcnemar(paired: Paired) -> None:
    """(gained - lost) / sqrt(gained + lost)."""
    assume(paired.gained + paired.lost)
    of_mcnemar = (paired.gained - paired.lost) / math.sqrt(paired.gained + paired.lost)
    assert score(paired, 0.0) == pytest.approx(of_mcnemar)


@given(pairs(), st.floats(-0.99, 0.99))
def test_the_fitted_probabilities_are_the_most_likely_ones(paired: Paired, difference: float) -> None:
    """No other pair of probabilities with that difference makes the counts likelier: found by looking around it."""
    assume(paired.gained + paired.lost)
    deviation = paired.gained - paired.lost - paired.n * difference
    assume(abs(deviation) > 1e-6)
    variance = (deviation / score(paired, difference)) ** 2
    lost = (variance / paired.n - difference * (1 - difference)) / 2

    def likelihood(lost: float) -> float:
        cells = (paired.gained, lost + difference), (paired.lost, lost), (rest, 1 - 2 * lost - difference)
        return sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

    rest = paired.n - paired.gained - paired.lost
    lowest, highest = max(0.0, -difference), (1 - difference) / 2
    around = [lowest + (highest - lowest) * k / 200 for k in range(201)]
    assert likelihood(lost) >= max(map(likelihood, around)) - 1e-6


@given(pairs(), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_bounds_enclose_the_difference_and_mirror_each_other(paired: Paired, confidence: float) -> None:
    """To swap the models is to change the sign."""
    low, high = bounds(paired, confidence)
    assert -1 <= low <= paired.difference <= high <= 1
    swapped = bounds(Paired(paired.n, paired.lost, paired.gained), confidence)
    assert swapped == pytest.approx((-high, -low), abs=1e-9)


def test_at_its_bounds_the_score_has_the_stated_confidence() -> None:
    """1.645 standard errors lie between either of them and what was observed."""
    paired = Paired(332, 3, 5)
    assert bounds(paired, 0.95) == pytest.approx((-0.0227, 0.0093), abs=5e-5)
    assert [score(paired, bound) for bound in bounds(paired, 0.95)] == pytest.approx([1.644854, -1.644854])


@pytest.mark.parametrize(
    ("paired", "difference", "expected"),
    [
        (Paired(10, 0, 0), 0.0, 0.0),  # nothing differs, and nothing should
        (Paired(10, 10, 0), 1.0, 0.0),
        (Paired(10, 5, 0), 1.0, -math.inf),
        (Paired(10, 0, 5), -1.0, math.inf),
        (Paired(10, 0, 10), -1.0, 0.0),
        (Paired(1, 0, 0), 0.25, -1 / math.sqrt(3)),  # -0.25 / sqrt(0.25 * 0.75)
    ],
)
def test_at_the_ends_of_what_is_possible_any_deviation_is_infinite(
    paired: Paired, difference: float, expected: float
) -> None:
    """There the most likely probabilities have no variance."""
    assert score(paired, difference) == pytest.approx(expected)


def test_both_tests_have_to_agree() -> None:
    """A loss of 6 points is none by chance, and not shown to be more than 5; at its bound McNemar's test counts."""
    assert judge(Paired(1000, 0, 60), mcnemar(0, 60), 0.05, 0.95) == "undecided"
    assert judge(Paired(1000, 0, 90), mcnemar(0, 90), 0.05, 0.95) == "worse"
    at_bound = 2 * (1 - 0.95)
    assert judge(Paired(100, 0, 50), at_bound, 0.0, 0.95) == "worse"
    assert judge(Paired(100, 0, 50), at_bound + 1e-9, 0.0, 0.95) == "undecided"


def test_a_few_images_are_judged_by_the_exact_test() -> None:
    """Four lost and none gained: a score of 2 standard errors, yet one in sixteen by chance. Five are one in 32."""
    for lost, outcome in ((4, "undecided"), (5, "worse")):
        assert judge(Paired(100, 0, lost), mcnemar(0, lost), 0.0, 0.95) == outcome


def test_the_margin_is_the_loss_that_is_accepted() -> None:
    """At the margin, not in floats but in images, a challenger is not worse, however many images there are."""
    for n in (1000, 1_000_000):
        assert judge(Paired(n, 0, n // 1000), 0.0, 0.001, 0.95) == "not worse"
        assert judge(Paired(n, 0, n // 1000 + 1), 0.0, 0.001, 0.95) == "undecided"
    assert judge(Paired(10, 0, 10), 0.0, 1.0, 0.95) == "not worse"


def test_the_images_that_it_takes_would_tell() -> None:
    """On that many images, with the same shares, the score reaches the bound for 95 % and for the power: 2.49."""
    paired = Paired(332, 3, 5)
    images = images_needed(paired, 0.001, 0.95)
    assert images is not None
    factor = images / paired.n
    assert score(paired, -0.001) * math.sqrt(factor) == pytest.approx(-2.486, abs=0.01)
    assert images_needed(Paired(1000, 0, 1), 0.001, 0.95) is None
    assert images_needed(Paired(1000, 5, 5), 0.001, 0.95) is None


def test_more_than_ten_million_images_are_not_worth_stating(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number itself still is."""
    assert noninferiority.MOST_IMAGES == 10_000_000
    paired, z = Paired(332, 3, 5), -score(Paired(332, 3, 5), -0.001)
    images = paired.n * ((NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.8)) / z) ** 2
    for most, expected in ((images, math.ceil(images)), (images - 1, None)):
        monkeypatch.setattr(noninferiority, "MOST_IMAGES", most)
        assert images_needed(paired, 0.001, 0.95) == expected


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_the_rule_errs_as_rarely_as_it_says(n: int) -> None:
    """Of simulated challengers that are worse by the margin itself at most 5 % are rejected, and half are promoted."""
    at_margin, worse = rates(n, 0.001, 2000), rates(n, 0.05, 2000)
    assert at_margin.rejected <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert rates(n, 0.0, 2000).rejected <= 0.05
    assert at_margin.promoted >= 0.45
    assert worse.promoted <= 0.05
    assert sum(worse) == pytest.approx(1)
