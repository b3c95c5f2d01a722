"""How many of the smallest steps-to-result the interval of S(B) needs."""

from __future__ import annotations

from fractions import Fraction


def best_of(trials: int) -> int:
    """K for the interval of best-of-K from N trials: half of them, rounded up."""
    return (trials + 1) // 2


def interval_rank(trials: int, level: float = 0.95) -> int:
    """How many of the smallest steps-to-result the interval at `level` needs, for N = `trials`.

    Best of K from N without resampling, s(1) <= .. <= s(N): P(min = s(i)) = C(N-i, K-1) / C(N, K).
    The rank is the smallest r with P(min <= s(r)) >= level.
    """
    # P(min > s(r)) is the product of (N - K - i) / (N - i) over i < r, exact for any number of trials.
    k, beyond, least = best_of(trials), Fraction(1), Fraction(str(level))
    for i in range(trials):
        beyond *= Fraction(trials - k - i, trials - i)
        if 1 - beyond >= least:
            return i + 1
    return trials
