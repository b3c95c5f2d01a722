"""Is any group better than the baseline? Squeezed variances, Holm's correction, and the power there was.

"The best of many groups" is never compared with one baseline uncorrected: under no difference at all,
twenty groups tested at 5% would give a "winner" in two experiments of three. Few seeds are made to count by
`moderation`; what a count over test examples cannot show is left to `granularity`; a run that diverged is an
outcome of its own.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from headrace import checks
from headrace.analysis import pairing as pairs
from headrace.analysis.correction import holm, holm_levels
from headrace.analysis.granularity import detect_granularity, rounding_variance
from headrace.analysis.power import detectable_difference, detectable_interval
from headrace.analysis.runs import Table, by_group, check_baseline, check_groups

__all__ = [
    "Comparison",
    "Contrast",
    "GroupResult",
    "Verdict",
    "check_baseline",
    "compare",
    "detectable_difference",
    "holm",
]

Verdict = Literal["better", "worse", "equivalent", "no difference shown"]
LEAST_SEEDS = 3
"""Fewer seeds of a group or of the baseline give no verdict: two values hardly show their scatter."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One group against the baseline, before any correction.

    Attributes:
        group: The group's name.
        test: "paired" (differences at equal seeds) or "welch"; both with squeezed variances.
        mean: The group's mean, over the seeds that were used; NaN if all its runs diverged.
        difference: The group's mean less the baseline's.
        standard_error: Of the difference.
        freedom: Degrees of freedom.
        seeds: The group's seeds that were used; for "paired" the pairs.
        p: The two-sided p-value; 1 if not tested.
        tested: Whether the group and the baseline have at least three seeds each; otherwise there is no
            verdict on their means.
        diverged: How many of its runs diverged.
        p_diverged: Fisher's two-sided p-value of the runs that diverged against the baseline's; None if no
            run of the table diverged.
    """

    group: str
    test: Literal["paired", "welch"]
    mean: float
    difference: float
    standard_error: float
    freedom: float
    seeds: int
    p: float
    tested: bool
    diverged: int
    p_diverged: float | None


@dataclass(frozen=True, kw_only=True)
class GroupResult(Contrast):
    """One group's contrast, corrected for the number of groups, and its verdict.

    Attributes:
        p_adjusted: Holm's adjusted p-value.
        p_diverged_adjusted: The same of `p_diverged`.
        interval: Of the difference, at the level at which Holm's procedure tests this group: it leaves out
            0 exactly where the means differ, and covers at least at the comparison's level one by one.
            Infinite on both sides if there are too few seeds for a verdict.
        detectable_difference: The smallest true difference that these seeds would have shown with a
            probability of 80%, regardless of the other groups (at Bonferroni's level), on average over what
            these seeds might have said of the scatter.
        detectable_interval: Its 95% interval, from that of the scatter.
        probability_of_improvement: The share of pairs of runs, one of the group and one of the baseline, of
            which the group's is better; ties count half, and a run that diverged is worse than any other.
        not_worse: Whether it is shown that the group is not worse by the margin; None without a margin.
        verdict: "better", "worse", "equivalent" (the difference is shown to be smaller than the margin) or
            "no difference shown". A group of which more runs diverged is "worse".
    """

    p_adjusted: float
    p_diverged_adjusted: float | None
    interval: tuple[float, float]
    detectable_difference: float
    detectable_interval: tuple[float, float]
    probability_of_improvement: float
    not_worse: bool | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every group against the baseline.

    Attributes:
        baseline: The baseline's name.
        baseline_mean: Its mean over all its seeds; NaN if all its runs diverged.
        baseline_seeds: Their number, without runs that diverged.
        baseline_diverged: How many of its runs diverged.
        higher_is_better: The direction of the metric.
        level: 1 less the probability that any verdict at all is given where no group differs.
        tested_level: The same at this look; above `level` only for a sequential comparison.
        granularity: The step in which the metric is counted; 0 for a continuous one.
        margin: Differences smaller than this do not matter; None if nothing was said.
        groups: In the order of their first row.
    """

    baseline: str
    baseline_mean: float
    baseline_seeds: int
    baseline_diverged: int
    higher_is_better: bool
    level: float
    tested_level: float
    granularity: float
    margin: float | None
    groups: tuple[GroupResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; intervals are lists, and null stands for what is not finite."""
        return _plain(vars(self) | {"groups": [vars(group) for group in self.groups]})


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """How the contrasts are judged."""

    alpha: float
    higher_is_better: bool
    margin: float | None


def compare(
    groups: Sequence[str],
    seeds: Sequence[Hashable],
    metric: Sequence[float],
    *,
    baseline: str,
    higher_is_better: bool = False,
    level: float = 0.95,
    pairing: pairs.Pairing = "auto",
    granularity: float | None = None,
    margin: float | None = None,
    sequential: bool = False,
) -> Comparison:
    """Compare every group with the baseline; the family-wise error is 1 - level.

    Variances are squeezed towards each other (`moderation`), so that all groups' seeds inform each group's
    scatter. Holm (1979) corrects the p-values over the groups. Where runs diverged, the numbers of them are
    compared as well (Fisher's exact test), and the correction is over both.

    Args:
        groups: The group of each row.
        seeds: The seed of each row: rows of two groups with one seed are a pair.
        metric: The metric of each row; NaN and infinity stand for a run that diverged.
        baseline: The group that all others are compared with.
        higher_is_better: Whether a larger metric is better.
        level: The level.
        pairing: "auto" takes differences at equal seeds if the seeds are shown to matter (`pairing`),
            "always" and "never" do what they say.
        granularity: The step in which the metric is counted, for example 1/300 for errors of 300 test
            examples; 0 for a continuous one. None detects it.
        margin: The difference below which it does not matter which group is taken; positive.
        sequential: Whether the comparison is looked at again after every further seed of each group. The
            k-th look, at k + 2 seeds, is then held to (1 - level)/(k (k + 1)), which sums to 1 - level over
            all looks, so that the first verdict may be kept, regardless of when the looks end.

    Raises:
        InputError: No such baseline, no other group, a group with fewer than two seeds, a seed that occurs
            twice in a group or is missing, a metric that is no number or too large for arithmetic, columns
            of different lengths, or a setting out of its range.
    """
    _check_settings(level=level, pairing=pairing, granularity=granularity, margin=margin)
    checks.flag(higher_is_better, "higher_is_better")
    checks.flag(sequential, "sequential")
    table = by_group(groups, seeds, metric)
    check_baseline(table, baseline)
    check_groups(table, baseline)
    finite = {name: pairs.finite(rows) for name, rows in table.items()}
    step = detect_granularity(finite) if granularity is None else granularity
    tested = 1 - (1 - level) / (_looks(finite) if sequential else 1)
    rules = _Rules(alpha=1 - tested, higher_is_better=higher_is_better, margin=margin)
    contrasts = _contrasts(table, finite, baseline, pairing, rounding_variance(step))
    base = list(finite[baseline].values())
    return Comparison(
        baseline=baseline,
        baseline_mean=pairs.mean(base),
        baseline_seeds=len(base),
        baseline_diverged=len(table[baseline]) - len(base),
        higher_is_better=higher_is_better,
        level=level,
        tested_level=tested,
        granularity=step,
        margin=margin,
        groups=tuple(_judged(contrasts, table, baseline, rules)),
    )


def _looks(finite: Table) -> int:
    """The product k (k + 1) of the look at hand: 1, 2, .. at 3, 4, .. seeds of the smallest group."""
    look = max(1, min(len(rows) for rows in finite.values()) - LEAST_SEEDS + 1)
    return look * (look + 1)


def _contrasts(
    table: Table, finite: Table, baseline: str, pairing: pairs.Pairing, floor: float
) -> list[Contrast]:
    differences = pairs.contrasts(finite, baseline, pairing, floor)
    diverged = any(len(rows) > len(finite[name]) for name, rows in table.items())
    base = len(table[baseline]) - len(finite[baseline]), len(finite[baseline])
    found: list[Contrast] = []
    for name, one in differences.items():
        lost = len(table[name]) - len(finite[name])
        tested = min(len(finite[name]), base[1], one.seeds) >= LEAST_SEEDS
        found.append(
            Contrast(
                group=name,
                p=_p(one) if tested else 1.0,
                tested=tested,
                diverged=lost,
                p_diverged=_fisher((lost, len(finite[name])), base) if diverged else None,
                **vars(one),
            )
        )
    return found


def _fisher(group: tuple[int, int], base: tuple[int, int]) -> float:
    from scipy.stats import fisher_exact

    found: Any = fisher_exact([group, base])
    return float(found.pvalue)


def _judged(contrasts: Sequence[Contrast], table: Table, baseline: str, rules: _Rules) -> list[GroupResult]:
    means = [contrast.p for contrast in contrasts]
    losses = [contrast.p_diverged for contrast in contrasts if contrast.p_diverged is not None]
    adjusted, levels = holm(means + losses), holm_levels(means + losses, rules.alpha)
    bonferroni = rules.alpha / len(adjusted)
    found: list[GroupResult] = []
    for place, contrast in enumerate(contrasts):
        other = len(means) + place
        lost = bool(losses) and losses[place] <= levels[other]
        detectable, between = _detectable(contrast, bonferroni)
        found.append(
            GroupResult(
                **vars(contrast),
                p_adjusted=adjusted[place],
                p_diverged_adjusted=adjusted[other] if losses else None,
                interval=_interval(contrast, levels[place]),
                detectable_difference=detectable,
                detectable_interval=between,
                probability_of_improvement=pairs.probability_of_improvement(
                    table[contrast.group], table[baseline], rules.higher_is_better
                ),
                not_worse=_not_worse(contrast, bonferroni, rules),
                verdict=_verdict(contrast, levels[place], lost, bonferroni, rules),
            )
        )
    return found


def _detectable(contrast: Contrast, alpha: float) -> tuple[float, tuple[float, float]]:
    if not contrast.tested:
        return math.inf, (0.0, math.inf)
    given = contrast.standard_error, contrast.freedom, alpha
    return detectable_difference(*given, estimated=True), detectable_interval(*given)


def _interval(contrast: Contrast, alpha: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    if not contrast.tested:
        return -math.inf, math.inf
    half = float(stdtrit(contrast.freedom, 1 - alpha / 2)) * contrast.standard_error
    return contrast.difference - half, contrast.difference + half


def _verdict(contrast: Contrast, alpha: float, lost: bool, bonferroni: float, rules: _Rules) -> Verdict:
    """Whether more runs diverged comes first: the mean of those that were left says less."""
    if lost and contrast.p_diverged is not None:
        return "worse" if contrast.diverged else "better"
    if rules.margin is not None and max(_one_sided(contrast, rules.margin)) <= bonferroni:
        return "equivalent"
    if contrast.p > alpha or contrast.difference == 0:
        return "no difference shown"
    return "better" if (contrast.difference > 0) == rules.higher_is_better else "worse"


def _not_worse(contrast: Contrast, alpha: float, rules: _Rules) -> bool | None:
    if rules.margin is None:
        return None
    below, above = _one_sided(contrast, rules.margin)
    return (above if not rules.higher_is_better else below) <= alpha


def _one_sided(contrast: Contrast, margin: float) -> tuple[float, float]:
    """The p-values of a difference of at most -margin, and of at least margin."""
    from scipy.special import stdtr

    if not contrast.tested:
        return 1.0, 1.0
    if contrast.standard_error == 0:
        return float(contrast.difference <= -margin), float(contrast.difference >= margin)
    low, high = ((contrast.difference + side) / contrast.standard_error for side in (margin, -margin))
    return float(stdtr(contrast.freedom, -low)), float(stdtr(contrast.freedom, high))


def _p(one: pairs.Difference) -> float:
    from scipy.special import stdtr

    if one.difference == 0:
        return 1.0
    return float(2 * stdtr(one.freedom, -abs(one.difference) / one.standard_error))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_settings(
    *, level: float, pairing: pairs.Pairing, granularity: float | None, margin: float | None
) -> None:
    checks.number(level, "level", above=0, below=1, fix="Write 0.95 for 95%.")
    checks.choice(pairing, "pairing", get_args(pairs.Pairing))
    if granularity is not None:
        checks.number(granularity, "granularity", least=0)
    if margin is not None:
        checks.number(margin, "margin", above=0)
