"""What fresh seeds show, in sentences; without them there are hints alone, see `hints`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from headrace.analysis import words
from headrace.analysis.replicate_verdicts import Cell, Metric
from headrace.analysis.replicates import Estimate, Replicated, finished
from headrace.analysis.studies import Curve
from headrace.policies import POLICIES, make_policy
from headrace.specs.studies import StudyKey
from headrace.specs.tables import Replicates

MOST_CURVES = 4
"""Of more curves the fresh runs are in the table of studies alone."""

_WHAT: dict[Metric, str] = {
    "steps": "steps",
    "examples_forwarded": "forwarded examples",
    "test": "test metric",
}


def conclude_replicates(found: Mapping[str, Replicated], cells: Sequence[Cell]) -> list[str]:
    """The findings of fresh seeds: what a run takes, then each study against its baselines.

    Args:
        found: The fresh runs of each study.
        cells: Their comparisons.
    """
    pairs: dict[tuple[Curve, Curve], list[Cell]] = {}
    for cell in cells:
        pairs.setdefault((_curve(cell.study), _curve(cell.baseline)), []).append(cell)
    said = [_pair(curve, base, some) for (curve, base), some in pairs.items()]
    return [*_fresh(found), *said, *([_worth(cells)] if cells else [])]


def _curve(key: StudyKey) -> Curve:
    c = key.configuration
    return key.optimizer, c.subset, c.policy, c.workers


def _fresh(found: Mapping[str, Replicated]) -> Iterator[str]:
    """What the next run takes, at the smallest and the largest batch size of each curve."""
    curves: dict[Curve, list[Replicated]] = {}
    for one in found.values():
        curves.setdefault(_curve(one.study.key), []).append(one)
    if len(curves) > MOST_CURVES:
        return
    for curve, some in curves.items():
        known = sorted((one.study.batch_size, one.steps) for one in some if one.steps is not None)
        ends = [known[0], known[-1]] if len(known) > 1 else known
        if ends:
            said = [f"{_estimate(steps)} at batch size {words.number(size)}" for size, steps in ends]
            yield f"{words.curve(curve)}: a fresh run of the chosen setting takes {words.listed(said)} steps."


def _estimate(found: Estimate) -> str:
    value = words.number(float(f"{found.value:.3g}"))
    return value if found.interval is None else f"{value} {words.interval(_three(found.interval))}"


def _three(ends: tuple[float, float]) -> tuple[float, float]:
    return float(f"{ends[0]:.3g}"), float(f"{ends[1]:.3g}")


def _pair(curve: Curve, base: Curve, cells: Sequence[Cell]) -> str:
    """One curve against its baseline: what was shown, what was not, and whether settings were shared."""
    parts = [part for metric in _WHAT if (part := _metric([c for c in cells if c.metric == metric]))]
    axis = cells[0].axis
    apart = sorted({cell.study.configuration.batch_size for cell in cells if not cell.shared})
    if axis == "optimizer":
        parts.append("Each at its own setting.")
    elif apart:
        parts.append(f"The setting was shared except at {_sizes(apart)}.")
    if axis == "policy" and curve[2] in POLICIES and make_policy(curve[2]).changes_objective:
        parts.append("It minimises something else than the mean loss.")
    return f"{words.curve(curve)} against {words.curve(base)}: {' '.join(parts)}"


def _metric(cells: Sequence[Cell]) -> str:
    shown = [cell for cell in cells if cell.verdict in ("better", "worse")]
    same = [cell for cell in cells if cell.verdict not in ("better", "worse")]
    said = [_shown(cell) for cell in shown]
    if same:
        sizes = _sizes([cell.study.configuration.batch_size for cell in same])
        said.append(f"no difference in {_WHAT[same[0].metric]} shown at {sizes}{_power(same)}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _shown(cell: Cell) -> str:
    where = f"at batch size {words.number(cell.study.configuration.batch_size)}"
    low, high = cell.interval
    neutral = 0.0 if cell.metric == "test" else 1.0
    if low <= neutral <= high or not math.isfinite(cell.effect):
        (mine, theirs), (of, of_theirs) = cell.reached, cell.seeds
        came = "came to an end" if cell.metric == "test" else "reached the goal"
        return f"{mine} of {of} runs {came} {where}, against {theirs} of {of_theirs}"
    if cell.metric == "test":
        size, ends = abs(cell.effect), sorted((abs(low), abs(high)))
        way = "better" if cell.effect < 0 else "worse"
        return f"test metric {way} by {size:.2g} [{ends[0]:.2g}, {ends[1]:.2g}] {where}"
    return f"{words.number(cell.effect)} times the {_WHAT[cell.metric]} {words.interval((low, high))} {where}"


def _power(cells: Sequence[Cell]) -> str:
    """The smallest effect that each of the comparisons would have shown."""
    worst = max(cell.detectable for cell in cells)
    if not math.isfinite(worst):
        return ""
    if cells[0].metric == "test":
        return f" (a difference of {worst:.2g} would have been, four times in five)"
    return f" ({words.number(worst)} times as many would have been, four times in five)"


def _sizes(sizes: Sequence[int]) -> str:
    return f"batch size{'s' if len(sizes) > 1 else ''} {words.listed([words.number(size) for size in sizes])}"


def _worth(cells: Sequence[Cell]) -> str:
    shown = sum(cell.verdict in ("better", "worse") for cell in cells)
    seeds = max(max(cell.seeds) for cell in cells)
    return (
        f"{shown} of {len(cells)} comparisons showed a difference. They rest on {seeds} fresh seeds of each "
        "chosen setting; if there were no differences, any would be shown with a probability of at most 5% "
        "for each axis and metric."
    )


def warn_of_replicates(asked: Replicates | None, found: Mapping[str, Replicated], decided: bool) -> list[str]:
    """What is missing of the fresh runs that were asked for.

    Args:
        asked: What was asked for, or None.
        found: The fresh runs of each study.
        decided: Whether all studies are decided: before that nothing is replicated.
    """
    if asked is None or not decided:
        return []
    said: list[str] = []
    without = [name for name, one in found.items() if one.setting.trial is None]
    if without:
        more = f" and {len(without) - 1} other studies" if len(without) > 1 else ""
        said.append(
            f"No replicates of {without[0]}{more}: no trial reached the goal, so there is no best setting."
        )
    if not finished(asked, found) and len(without) < max(len(found), 1):
        there = sum(len(one.runs) for one in found.values())
        of = asked.seeds * (len(found) - len(without))
        known = f"{there} of {of} replicates are stored" if found else "no replicates are stored yet"
        said.append(f"Replicates are not complete: {known}. Run the experiment again to make the others.")
    return said
