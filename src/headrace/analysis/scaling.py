"""How far batch size pays: S = Smin (1 + Bcrit/B) fitted to steps-to-result, public as `headrace.scaling`.

The form is that of McCandlish et al. (2018): steps fall in proportion to the batch size far below
Bcrit, and not at all far above it. The fit is least squares in log space, since an unweighted fit of
the steps themselves is ruled by the smallest batch. This is also the convention of Zhang et al.
(ICLR 2025): their table of the 85M model gives their a = 1293.83, b = 2834258.09 to every printed digit.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from headrace import checks
from headrace.analysis import _draws, _fit_tests, _law_free, _profile
from headrace.analysis.regimes import TOLERANCE, limits
from headrace.csv_cells import LARGEST, SMALLEST
from headrace.errors import InputError

LACK_OF_FIT, NOT_FALLING = 0.05, 0.01
"""At p-values up to these the law is said not to fit, and the table not to hold steps to a goal."""

_LARGEST_LOG = math.log(sys.float_info.max)
Numbers = Sequence[float] | Sequence[int] | Float[np.ndarray, " points"]
Interval = tuple[float, float]
Checked = Float[np.ndarray, " points"]


@dataclass(frozen=True, kw_only=True)
class ScalingFit:
    """What a table of steps against batch size says, with its uncertainty.

    Attributes:
        steps_min: Smin, the steps that no batch size, however large, gets below. 0 for pure perfect scaling.
        steps_min_interval: Its interval; None where two rows leave no scatter to judge by.
        critical_batch_size: Bcrit in examples, where twice Smin is needed. 0 for a flat table, infinite for
            pure perfect scaling.
        interval: The interval of `critical_batch_size`; an end at 0 or infinity says that the table does not
            bound it on that side. None as above.
        unreached: The regimes that the table cannot be said to have reached, by `interval`: "perfect scaling"
            (its low end is 0), "maximal data parallelism" (its high end is infinite).
        law_free_critical_batch_size: Where twice the fewest steps are needed, by a curve with free slope and
            free sharpness; None for two rows.
        law_free_interval: Its interval, open at 0 or infinity; much wider than `interval`, and as good under
            other laws.
        lack_of_fit: The p-value of S = Smin (1 + Bcrit/B), by a test against other curves; None for too few
            rows to test it. Up to 0.05 `interval` and `overhead_interval` cannot be relied on.
        not_falling: The p-value of "steps do not rise with the batch size, and fall at most in proportion to
            it", as steps to a goal do; None for two rows. Up to 0.01 this is another kind of table.
        perfect_scaling_limit: The largest tested batch size up to which steps keep to perfect scaling.
        perfect_scaling_limit_interval: Its interval, over all curves that `law_free_interval` allows.
        perfect_scaling_limit_is_largest_tested: Whether the limit is only "at least".
        max_useful_batch_size: The smallest tested batch size with as few steps as any, within the tolerance.
        max_useful_batch_size_interval: Its interval, likewise.
        max_useful_batch_size_is_largest_tested: Whether it is only "at least".
        overhead_batch_size: Where steps exceed linear scaling from `reference_batch` by the share `overhead`.
        overhead_interval: Its interval, from that of Bcrit.
        reference_batch: B0 of the overhead rule.
        overhead: d of the overhead rule.
        tolerance: d of the two limits.
        level: The level of the intervals.
        residual_scatter: The standard deviation of log steps about the curve, with n - 2 degrees of freedom;
            0.1 is about 10%. None for two rows.
        points: The number of rows used.
    """

    steps_min: float
    steps_min_interval: Interval | None
    critical_batch_size: float
    interval: Interval | None
    unreached: tuple[str, ...]
    law_free_critical_batch_size: float | None
    law_free_interval: Interval | None
    lack_of_fit: float | None
    not_falling: float | None
    perfect_scaling_limit: float
    perfect_scaling_limit_interval: Interval | None
    perfect_scaling_limit_is_largest_tested: bool
    max_useful_batch_size: float
    max_useful_batch_size_interval: Interval | None
    max_useful_batch_size_is_largest_tested: bool
    overhead_batch_size: float
    overhead_interval: Interval | None
    reference_batch: float
    overhead: float
    tolerance: float
    level: float
    residual_scatter: float | None
    points: int

    def predict(self, batch_size: float) -> float:
        """Steps at `batch_size` by the fitted curve; only for a fit in which neither end is degenerate."""
        return self.steps_min * (1 + self.critical_batch_size / batch_size)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader must know before believing the fit; empty if nothing speaks against it."""
        found = list[str]()
        if self.not_falling is not None and self.not_falling <= NOT_FALLING:
            found.append(
                "These are not steps to a goal: with the batch size they rise, or fall faster than in "
                f"proportion to it, by more than their scatter (p = {self.not_falling:.2g}). Losses after "
                "equally many examples, for example, cannot be fitted."
            )
        if self.lack_of_fit is not None and self.lack_of_fit <= LACK_OF_FIT:
            found.append(
                f"The law S = Smin (1 + Bcrit/B) does not fit (test of lack of fit: p = "
                f"{self.lack_of_fit:.2g}), so its interval cannot be relied on; the law-free one can."
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: tuples as lists, and null for what is infinite."""
        return {name: _plain(value) for name, value in vars(self).items()} | {"caveats": [*self.caveats]}


def fit(
    batch_sizes: Numbers,
    steps: Numbers,
    *,
    overhead: float = 0.2,
    reference_batch: float | None = None,
    tolerance: float = TOLERANCE,
    level: float = 0.95,
    draws: Float[np.ndarray, "draws points"] | None = None,
    open_above: Sequence[bool] | None = None,
) -> ScalingFit:
    """Fit S = Smin (1 + Bcrit/B) by least squares in log space, with profile-likelihood intervals.

    The interval of Bcrit is all values whose residual sum of squares is at most
    (1 + F(1, n-2; level)/(n-2)) times the least one (normal errors of log S, scatter unknown). It is
    one-sided where the table shows no perfect scaling, or no end of it. A curve through two rows is exact and
    has no interval. Whole numbers of steps are taken to scatter by rounding at least.

    Args:
        batch_sizes: Examples per step, positive. Repeated ones are replicates: all enter the fit, their
            median the two limits.
        steps: Steps to the goal, positive, one entry a batch size.
        overhead: d in the overhead rule of Zhang et al. (ICLR 2025), B* = (1+d) B0 + d Bcrit: from a + b/B,
            where steps pass (1+d) S(B0) B0/B with S(B0) taken as b/B0 + a.
        reference_batch: B0 there. Default: the smallest batch size of the table.
        tolerance: The share by which measured steps may miss perfect scaling, or the fewest steps, in
            `perfect_scaling_limit` and `max_useful_batch_size`.
        level: The level of the intervals.
        draws: Other values that the steps might have had; infinite if the goal was not reached. The intervals
            of the law are then widened to hold the central `level` of the fits to the draws too. Errors that
            make the points scatter about the curve, such as those of a search, are in the intervals already
            and would be counted twice.
        open_above: Whether the search behind a point left it open: too few trials reached the goal. Intervals
            of the law then hold those of the fit without such points too.

    Raises:
        InputError: A value that is not a positive finite number, or fewer than two different batch sizes.
    """
    batch, count = _checked(batch_sizes, "batch_sizes"), _checked(steps, "steps")
    if len(batch) != len(count):
        raise InputError("must be as many as batch_sizes", where="steps", got=len(count))
    if len(np.unique(batch)) < 2:
        raise InputError(
            "a fit needs at least two different batch sizes",
            where="batch_sizes",
            got=batch.tolist(),
            fix="Add rows of other batch sizes.",
        )
    reference = float(batch.min()) if reference_batch is None else reference_batch
    _check_settings(overhead=overhead, reference_batch=reference, tolerance=tolerance, level=level)
    log_batch, log_steps = np.log(batch), np.log(count)
    fitted = _profile.least_squares(log_batch, log_steps)
    ends = _intervals(fitted, log_batch, log_steps, level, draws)
    if ends and open_above is not None and any(open_above):
        ends = _without_open(ends, log_batch, log_steps, level, np.asarray(open_above, dtype=bool))
    critical, freedom = _exp(fitted.log_critical), len(batch) - 2
    return ScalingFit(
        steps_min=_exp(fitted.log_steps_min),
        steps_min_interval=ends[1] if ends else None,
        critical_batch_size=critical,
        interval=ends[0] if ends else None,
        unreached=_unreached(ends[0] if ends else (critical, critical)),
        **_without_the_law(fitted, batch, count, tolerance, level),
        overhead_batch_size=overhead_batch_size(critical, overhead, reference),
        overhead_interval=_each(ends[0], overhead, reference) if ends else None,
        reference_batch=_whole(reference),
        overhead=overhead,
        tolerance=tolerance,
        level=level,
        residual_scatter=math.sqrt(fitted.residual / freedom) if freedom else None,
        points=len(batch),
    )


def _without_the_law(
    fitted: _profile.Fitted, batch: Checked, count: Checked, tolerance: float, level: float
) -> dict[str, Any]:
    """The fields of `ScalingFit` that do not rest on the law, or test whether it holds."""
    distinct = np.unique(batch)
    rules = limits(
        distinct.tolist(), [float(np.median(count[batch == size])) for size in distinct], tolerance=tolerance
    )
    found: dict[str, Any] = {
        "perfect_scaling_limit": _whole(rules.perfect_scaling),
        "perfect_scaling_limit_is_largest_tested": rules.perfect_scaling_is_largest_tested,
        "max_useful_batch_size": _whole(rules.max_useful),
        "max_useful_batch_size_is_largest_tested": rules.max_useful_is_largest_tested,
    }
    log_batch, log_steps = np.log(batch), np.log(count)
    least = _rounding(log_steps)
    if len(batch) < 3:
        missing = ("law_free_critical_batch_size", "law_free_interval", "lack_of_fit", "not_falling")
        limited = ("perfect_scaling_limit_interval", "max_useful_batch_size_interval")
        return found | dict.fromkeys((*missing, *limited))
    free = _law_free.allowed(log_batch, log_steps, t=_t_quantile(len(batch) - 2, level), least_variance=least)
    perfect, useful = _law_free.limit_intervals(free.curves, distinct, tolerance)
    return found | {
        "law_free_critical_batch_size": _exp(free.log_twice),
        "law_free_interval": (_exp(free.interval[0]), _exp(free.interval[1])),
        "lack_of_fit": _fit_tests.lack_of_fit(fitted, log_batch, log_steps, least_variance=least),
        "not_falling": _fit_tests.no_falling_curve(log_batch, log_steps, least_variance=least),
        "perfect_scaling_limit_interval": _holding(perfect, rules.perfect_scaling),
        "max_useful_batch_size_interval": _holding(useful, rules.max_useful),
    }


def _holding(ends: Interval, value: float) -> Interval:
    """The interval, widened to hold the estimate, as batch sizes are written."""
    return _whole(min(ends[0], value)), _whole(max(ends[1], value))


def _without_open(
    ends: tuple[Interval, Interval],
    log_batch: _profile.Points,
    log_steps: _profile.Points,
    level: float,
    open_above: Float[np.ndarray, " points"],
) -> tuple[Interval, Interval]:
    """Both intervals, widened to hold those without the open points; unbounded if too few are left."""
    x, y = log_batch[~open_above], log_steps[~open_above]
    if len(np.unique(x)) < 2 or len(x) < 3:
        return (0.0, math.inf), (0.0, ends[1][1])
    rest = _intervals(_profile.least_squares(x, y), x, y, level, None)
    if rest is None:
        return ends
    (low, high), (least, most) = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(ends, rest, strict=True))
    return (low, high), (least, most)


def critical_ratio(first: ScalingFit, second: ScalingFit) -> tuple[float, Interval] | None:
    """How many times the critical batch size of `second` that of `first` is, with its interval.

    The two intervals are combined in logs by the method of variance estimates recovery (Donner and Zou
    2012 [M]): each side's half widths add in squares. None where either fit has no interval, or its
    critical batch size is not bounded away from 0 and infinity.
    """
    if first.interval is None or second.interval is None:
        return None
    if not all(0 < fit.critical_batch_size < math.inf for fit in (first, second)):
        return None
    a, (a_low, a_high) = math.log(first.critical_batch_size), _logs(first.interval)
    b, (b_low, b_high) = math.log(second.critical_batch_size), _logs(second.interval)
    low = a - b - math.hypot(a - a_low, b_high - b)
    return math.exp(a - b), (_exp(low), _exp(a - b + math.hypot(a_high - a, b - b_low)))


def _logs(ends: Interval) -> Interval:
    low, high = (math.log(end) if end > 0 else -math.inf for end in ends)
    return low, high


def overhead_batch_size(critical_batch_size: float, overhead: float, reference_batch: float) -> float:
    """B* = (1+d) B0 + d Bcrit: where S = a + b/B (Bcrit = b/a) is d above linear scaling from B0 [V]."""
    return (1 + overhead) * reference_batch + overhead * critical_batch_size


def _each(ends: Interval, overhead: float, reference: float) -> Interval:
    low, high = (overhead_batch_size(end, overhead, reference) for end in ends)
    return low, high


def _intervals(
    fitted: _profile.Fitted,
    log_batch: _profile.Points,
    log_steps: _profile.Points,
    level: float,
    draws: np.ndarray | None,
) -> tuple[Interval, Interval] | None:
    """The intervals of Bcrit and of Smin, or None if nothing shows the scatter."""
    freedom = len(log_batch) - 2
    found: list[tuple[Interval, Interval]] = []
    if freedom:
        scatter = max(fitted.residual / freedom, _rounding(log_steps))
        threshold = fitted.residual + scatter * _t_quantile(freedom, level) ** 2
        found.append(_profile.interval(fitted, threshold, log_batch, log_steps))
    if draws is not None:
        found.append(_draws.intervals(log_batch, draws, level))
    if not found:
        return None
    # The estimate itself lies in the hull, no matter what the draws say.
    found.append(((u := fitted.log_critical, u), (m := fitted.log_steps_min, m)))
    critical, least = zip(*found, strict=True)
    return _hull(critical), _hull(least)


def _rounding(log_steps: _profile.Points) -> float:
    """The least variance that log S can have where steps are whole numbers: that of rounding, 1/12 step^2.

    It keeps a table that happens to lie on a curve from claiming to be certain.
    """
    steps = np.exp(log_steps)
    whole = bool(np.all(np.abs(steps - np.round(steps)) < 1e-9 * steps))
    return float(np.mean(1 / (12 * steps**2))) if whole else 0.0


def _hull(intervals: Sequence[Interval]) -> Interval:
    lows, highs = zip(*intervals, strict=True)
    return _exp(min(lows)), _exp(max(highs))


def _t_quantile(freedom: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _unreached(ends: Interval) -> tuple[str, ...]:
    names = {"perfect scaling": ends[0] == 0, "maximal data parallelism": math.isinf(ends[1])}
    return tuple(name for name, missing in names.items() if missing)


def _exp(value: float) -> float:
    return math.inf if value > _LARGEST_LOG else math.exp(value)


def _checked(values: Numbers, name: str) -> Float[np.ndarray, " points"]:
    array = checks.numeric(values, name, "batch size", kinds="iuf").astype(np.float64)
    too_large = np.flatnonzero(np.isfinite(array) & (array > 0) & ~((array >= SMALLEST) & (array <= LARGEST)))
    if len(too_large):
        raise InputError(
            f"must be from {SMALLEST:g} to {LARGEST:g}, where arithmetic is safe",
            where=f"{name}[{too_large[0]}]",
            got=float(array[too_large[0]]),
        )
    wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(wrong):
        raise InputError(
            "must be positive finite numbers",
            where=f"{name}[{wrong[0]}]",
            got=float(array[wrong[0]]),
            fix="Leave out the points at which the goal was not reached.",
        )
    return array


def _check_settings(*, overhead: float, reference_batch: float, tolerance: float, level: float) -> None:
    for name, value, most in (
        ("overhead", overhead, LARGEST),
        ("reference_batch", reference_batch, LARGEST),
        ("tolerance", tolerance, LARGEST),
        ("level", level, 1.0),
    ):
        checks.number(value, name, above=0, below=most, fix="Write 0.95 for 95%." if most == 1 else None)


def _whole(batch_size: float) -> float:
    """A batch size as it is written: 64, not 64.0."""
    return int(batch_size) if batch_size == int(batch_size) else batch_size


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
