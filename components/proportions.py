"""What counts say about a share: its interval, and the tail of the binomial distribution. Standard library only."""

import math

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution: both tails of a 95 % interval


def wilson(correct: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of the share *correct* / *n*: right near 0 and 1, where the normal approximation is not.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209-212.
    """
    share, z2 = correct / n, z * z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # at the ends the interval touches 0 or 1 exactly; rounding would miss by 1e-17
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == n else middle + half)


def upper_bound(successes: int, n: int, confidence: float = 0.95) -> float:
    """The share not exceeded with this *confidence*, after *successes* of *n*: Clopper and Pearson's bound, one-sided.

    C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934) 404-413.
    """
    low, high = successes / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - upper_tail(successes + 1, n, middle) > 1 - confidence else (low, middle)
    return high


def upper_tail(successes: int, n: int, share: float) -> float:
    """The probability of at least *successes* in *n* independent trials that each succeed with probability *share*."""
    if successes <= 0:
        return 1.0
    if successes > n or share in (0, 1):
        return float(successes <= n and share == 1)
    if successes <= n * share:  # the shorter tail is the other one
        return 1.0 - _sum_of_tail(n - successes + 1, n, 1 - share)
    return _sum_of_tail(successes, n, share)


def _sum_of_tail(successes: int, n: int, share: float) -> float:
    """The terms from *successes* on, above the mean, where each is smaller than the one before."""
    of_ways = math.lgamma(n + 1) - math.lgamma(successes + 1) - math.lgamma(n - successes + 1)
    term = math.exp(of_ways + successes * math.log(share) + (n - successes) * math.log1p(-share))
    total, odds = term, share / (1 - share)
    for k in range(successes, n):
        term *= (n - k) / (k + 1) * odds
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, total)
