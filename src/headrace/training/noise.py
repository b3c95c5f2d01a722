"""The gradient noise scale as functions of squared norms: averages first, the ratio last, with an interval.

With g the gradient of one example, G its mean and Sigma its covariance, a mean over B examples has
E|G_B|^2 = |G|^2 + tr(Sigma)/B, and the noise scale is B_simple = tr(Sigma) / |G|^2 (McCandlish et al.
2018 [V]). Both parts are estimated without bias, by numbers that may be negative; their ratio is not. So
they are averaged over steps or examples, and divided once.

The interval of the ratio is Fieller's (1954 [M]): all ratios that a t-test of the two means does not
reject. Unlike the delta method it shows when the signal cannot be distinguished from zero: its high end is
infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from headrace.checks import number
from headrace.errors import InputError

Each = Float[np.ndarray, " draws"]
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class NoiseEstimate:
    """A gradient noise scale.

    Attributes:
        noise_scale: tr(Sigma) / |G|^2 in examples; infinite if the estimate of |G|^2 is not positive.
        interval: Its interval; the high end is infinite if the signal cannot be distinguished from zero, and
            it is None if there are too few observations.
        noise: The mean estimate of tr(Sigma), the total variance of the gradient of one example.
        signal: The mean estimate of |G|^2, the squared norm of the mean gradient.
        observations: How many steps (or examples) it rests on; with a half-life, effectively.
        level: The level of the interval.
    """

    noise_scale: float
    interval: Interval | None
    noise: float
    signal: float
    observations: float
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the interval as a list, null for infinity."""
        ends = None if self.interval is None else [_finite(end) for end in self.interval]
        return {**vars(self), "noise_scale": _finite(self.noise_scale), "interval": ends}


def two_batch_sizes(
    small_square: Each | float, large_square: Each | float, small: float, large: float
) -> tuple[Any, Any]:
    """Signal and noise from the squared norms of mean gradients over two batch sizes [V].

    |G|^2 ~ (Bb |Gb|^2 - Bs |Gs|^2) / (Bb - Bs) and tr(Sigma) ~ (|Gs|^2 - |Gb|^2) / (1/Bs - 1/Bb); each is
    unbiased, and the two batches may overlap.

    Args:
        small_square: |Gs|^2 of the smaller batch.
        large_square: |Gb|^2 of the larger one.
        small: Examples in the smaller batch.
        large: Examples in the larger one.

    Returns:
        The estimates of |G|^2 and of tr(Sigma).

    Raises:
        InputError: The sizes are not positive, or not in this order.
    """
    if not 0 < small < large:
        raise InputError("two different batch sizes are needed, the smaller first", got=(small, large))
    signal = (large * large_square - small * small_square) / (large - small)
    return signal, (small_square - large_square) / (1 / small - 1 / large)


def parts_and_whole(
    parts: Each, whole: Each, examples: Float[np.ndarray, " draws"] | float, share: Each | float
) -> tuple[Each, Each]:
    """Signal and noise of steps whose gradient is a sum of parts (micro-batches, ranks).

    Part i is (n_i/B) G_i, so the sum over parts of its squared norm has the mean q |G|^2 + tr(Sigma)/B with
    q = sum (n_i/B)^2, and that of the whole |G|^2 + tr(Sigma)/B. Hence |G|^2 ~ (whole - parts) / (1 - q),
    which is the mean product of different parts, and tr(Sigma) ~ B (whole - |G|^2) [D]. For equal parts this
    is `two_batch_sizes`. A factor common to all parts (a mean left undivided, a loss scale) cancels in the
    ratio.

    Args:
        parts: The sum over a step's parts of the squared norm.
        whole: The squared norm of the sum of the parts.
        examples: B, examples per step.
        share: q; for k equal parts 1/k.

    Returns:
        The estimates of |G|^2 and of tr(Sigma), one per step.
    """
    signal = (whole - parts) / (1 - share)
    return signal, examples * (whole - signal)


def per_example(squares: Each, products: Each, mean_square: float) -> tuple[Each, Each]:
    """Signal and noise from n per-example gradients g_i, as the pseudo-values of the jackknife.

    Their means are the unbiased estimates tr(Sigma) = n/(n-1) (mean |g_i|^2 - |Gn|^2) [V] and
    |G|^2 = |Gn|^2 - tr(Sigma)/n; their scatter shows how far those can be trusted [D].

    Args:
        squares: |g_i|^2.
        products: g_i . Gn, with Gn the mean of the g_i.
        mean_square: |Gn|^2.

    Raises:
        InputError: Fewer than three examples.
    """
    n = len(squares)
    if n < 3:
        raise InputError("per-example gradients need at least three examples", where="inputs", got=n)
    total, norm = float(squares.sum()), n * n * mean_square
    signal = (norm - total) / (n * (n - 1))
    noise = (total - norm / n) / (n - 1)
    norm_without = norm - 2 * n * products + squares
    signal_without = (norm_without - (total - squares)) / ((n - 1) * (n - 2))
    noise_without = (total - squares - norm_without / (n - 1)) / (n - 2)
    return n * signal - (n - 1) * signal_without, n * noise - (n - 1) * noise_without


def estimate(
    signal: Each, noise: Each, *, half_life: float | None = None, level: float = 0.95
) -> NoiseEstimate:
    """The noise scale from one pair of estimates per step (or example): the ratio of the averages.

    Args:
        signal: Estimates of |G|^2, oldest first.
        noise: Estimates of tr(Sigma), likewise.
        half_life: Steps after which a pair counts half: an exponential average that favours the end. None: a
            plain average over all of them. A drift of the means widens the interval.
        level: The level of the interval.

    Raises:
        InputError: There is nothing to average, or a setting is out of range.
    """
    _check(len(signal), half_life, level)
    age = np.arange(len(signal))[::-1]
    weights = np.ones(len(signal)) if half_life is None else 0.5 ** (age / half_life)
    weights = weights / weights.sum()
    pairs = np.stack([signal, noise]).astype(np.float64)
    means = pairs @ weights
    observations = 1 / float(weights @ weights)
    off = pairs - means[:, None]
    spread = weights @ weights
    ends = None
    if observations > 1.5:
        # The variance of a weighted mean of independent pairs, from their unbiased weighted covariance.
        covariance = (off * weights) @ off.T * spread / (1 - spread)
        ends = ratio_interval(means, covariance, _t_quantile(observations - 1, level))
    return NoiseEstimate(
        noise_scale=max(float(means[1] / means[0]), 0.0) if means[0] > 0 else math.inf,
        interval=ends,
        noise=float(means[1]),
        signal=float(means[0]),
        observations=observations,
        level=level,
    )


def ratio_interval(
    means: Float[np.ndarray, " 2"], covariance: Float[np.ndarray, "2 2"], quantile: float
) -> Interval:
    """Fieller's interval of means[1] / means[0], cut at 0; the high end is infinite if means[0] may be 0.

    It is found for the inverse ratio s, whose denominator (the noise) is hardly ever uncertain:
    (x - s y)^2 <= t^2 var(x - s y), a quadratic in s.

    Args:
        means: The mean signal x and the mean noise y.
        covariance: Of these means.
        quantile: t.
    """
    x, y = float(means[0]), float(means[1])
    a = y * y - quantile**2 * float(covariance[1, 1])
    b = x * y - quantile**2 * float(covariance[0, 1])
    c = x * x - quantile**2 * float(covariance[0, 0])
    root = math.sqrt(max(b * b - a * c, 0.0))
    if a > 0:
        return _inverse((b + root) / a), _inverse((b - root) / a)
    if a < 0 < c and x > 0:
        # The noise may be zero but the signal is not: only an upper end.
        return 0.0, _inverse((b - root) / a)
    return 0.0, math.inf


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else math.inf


def _t_quantile(freedom: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _check(count: int, half_life: float | None, level: float) -> None:
    if count == 0:
        raise InputError("nothing was measured yet", where="NoiseScale", fix="Call step() after backward().")
    if half_life is not None:
        number(half_life, "half_life", above=0)
    number(level, "level", above=0, below=1)
