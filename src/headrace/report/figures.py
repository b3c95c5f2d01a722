"""The figures of a report in their order: each a value, its picture, its words; or why it is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headrace.analysis.portraits import percent
from headrace.report import portraits, words
from headrace.report.budgets import Budget, budget_table, budgets
from headrace.report.canvas import Layout
from headrace.report.numbers import plain, short, whole
from headrace.report.pictures import budgets as budgets_picture
from headrace.report.pictures import examples as examples_picture
from headrace.report.pictures import normalised as normalised_picture
from headrace.report.pictures import portraits as portraits_picture
from headrace.report.pictures import scaling as scaling_picture
from headrace.report.pictures import search as search_picture
from headrace.report.pictures import tuning as tuning_picture
from headrace.report.tables import Table
from headrace.report.tuning import Searches, Trend, search_table, searches, trend_table, trends
from headrace.report.values import Curve, scaling_table
from headrace.report.words import Words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from headrace.analysis.portraits import Reading
    from headrace.analysis.results import Analysis


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that can be drawn.

    Attributes:
        name: The name of its files and its anchor.
        words: Title and caption.
        description: What is to be seen, in figures, for those who do not see it.
        table: Its values.
        draw: Draws it for a width.
    """

    name: str
    words: Words
    description: str
    table: Table
    draw: Callable[[Layout], Figure]


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A figure that is left out, and why."""

    name: str
    words: Words
    reason: str


def figures(analysis: Analysis, curves: Sequence[Curve], *, metric: str) -> list[Picture | Absent]:
    """All figures of an analysis.

    Args:
        analysis: What is shown.
        curves: Its curves, from `values.curves`.
        metric: The name of the validation metric.
    """
    return [
        *_of_curves(curves),
        _tuning(trends(analysis, curves), curves),
        *(_search(place, curve, searches(analysis, curve)) for place, curve in enumerate(curves)),
        _budgets(budgets(analysis, curves), curves, metric),
    ]


def portrait_figures(readings: Sequence[Reading]) -> list[Picture | Absent]:
    """The figures of portraits; none where there are no portraits."""
    if not readings:
        return []
    groups = portraits.together(readings)
    return [
        _data_map(readings),
        *(_distributions(group, _nth("scores", i)) for i, group in enumerate(groups)),
        *(_feed(group, _nth("feed", i)) for i, group in enumerate(groups)),
    ]


def _nth(name: str, place: int) -> str:
    return name if place == 0 else f"{name}-{place + 1}"


def _data_map(readings: Sequence[Reading]) -> Picture | Absent:
    maps = portraits.data_maps(readings)
    if not maps:
        reason = "The targets are not classes, so there is no probability of the right one."
        return Absent(name="data-map", words=words.DATA_MAP, reason=reason)
    said = " ".join(f"{r.policy}: {percent(r.never_learnt or 0)} never predicted right." for r in readings)
    return Picture(
        name="data-map",
        words=words.DATA_MAP,
        description=f"{words.DATA_MAP.title}. {said}",
        table=portraits.data_map_table(maps),
        draw=partial(portraits_picture.draw_maps, maps),
    )


def _distributions(readings: Sequence[Reading], name: str) -> Picture:
    found = portraits.distributions(portraits.score_columns(readings))
    return score_figure(found, name, words.DISTRIBUTIONS)


def score_figure(found: Sequence[portraits.Distribution], name: str, said: Words) -> Picture:
    """The distributions of scores in some groups of examples."""
    scores = ", ".join(one.score.replace("_", " ") for one in found)
    return Picture(
        name=name,
        words=said,
        description=f"{said.title}: {scores}, of {', '.join(found[0].shares)}.",
        table=portraits.distribution_table(found),
        draw=partial(portraits_picture.draw_distributions, found),
    )


def _feed(readings: Sequence[Reading], name: str) -> Picture | Absent:
    fed = portraits.feeds(readings)
    if not fed:
        reason = "No epoch was fed to its end."
        return Absent(name=name, words=words.FEED, reason=reason)
    if portraits.is_even(fed):
        reason = (
            "Every epoch trained on every example once, all with the same weight: the effective sample size "
            "is 100 % and nothing was left out."
        )
        return Absent(name=name, words=words.FEED, reason=reason)
    said = "; ".join(
        f"{policy}: in the last of {len(rows)} epochs {percent(rows[-1].effective)} effective, "
        f"{percent(rows[-1].unseen)} unseen, {percent(rows[-1].never_seen)} never seen"
        for policy, rows in fed.items()
    )
    return Picture(
        name=name,
        words=words.FEED,
        description=f"{words.FEED.title}. {said}.",
        table=portraits.feed_table(fed),
        draw=partial(portraits_picture.draw_feeds, fed),
    )


_NONE_REACHED = "No trial reached the goal by training at any batch size, so there are no steps to show."


def _of_curves(curves: Sequence[Curve]) -> list[Picture | Absent]:
    kinds = [
        ("scaling", words.SCALING, scaling_picture.draw, _steps_in_words),
        ("normalised", words.NORMALISED, normalised_picture.draw, _steps_in_words),
        ("examples", words.EXAMPLES, examples_picture.draw, _examples_in_words),
        *_forwarded(curves),
        ("trade-off", words.TRADE_OFF, examples_picture.draw_trade_off, _examples_in_words),
    ]
    if not any(curve.reached for curve in curves):
        return [Absent(name=name, words=said, reason=_NONE_REACHED) for name, said, _, _ in kinds]
    table = scaling_table(curves)
    return [
        Picture(
            name=name,
            words=said,
            description=f"{said.title}. {tell(curves)}",
            table=table,
            draw=partial(draw, curves),
        )
        for name, said, draw, tell in kinds
    ]


def _forwarded(curves: Sequence[Curve]) -> list[Any]:
    """The figure of forward passes, where some policy makes more of them than it trains on examples."""
    if not any(point.selects for curve in curves for point in curve.reached):
        return []
    return [("forwarded", words.FORWARDED, examples_picture.draw_forwarded, _forwarded_in_words)]


def _forwarded_in_words(curves: Sequence[Curve]) -> str:
    return _in_words(curves, "examples forwarded", lambda curve: [whole(p.forwarded) for p in curve.reached])


def _steps_in_words(curves: Sequence[Curve]) -> str:
    return _in_words(curves, "steps", lambda curve: [whole(p.steps) for p in curve.reached])


def _examples_in_words(curves: Sequence[Curve]) -> str:
    return _in_words(curves, "examples", lambda curve: [whole(p.examples) for p in curve.reached])


def _in_words(curves: Sequence[Curve], unit: str, values: Callable[[Curve], list[str]]) -> str:
    """`SGD: 4,096 steps at batch size 8, ..`, the first and the last of each curve."""
    parts: list[str] = []
    for curve in curves:
        told = values(curve)
        if told:
            ends = sorted({0, len(told) - 1})
            said = " and ".join(
                f"{told[i]} {unit} at batch size {short(curve.reached[i].batch_size)}" for i in ends
            )
            parts.append(f"{curve.label}: {said}.")
    return " ".join(parts)


def _tuning(trends: dict[str, tuple[Trend, ...]], curves: Sequence[Curve]) -> Picture | Absent:
    if not trends:
        reason = "No trial reached the goal with a learning rate on record."
        return Absent(name="hyperparameters", words=words.TUNING, reason=reason)
    said = "; ".join(
        f"{name.replace('_', ' ')} of {t.curve}: {plain(t.values[0])} at the smallest and "
        f"{plain(t.values[-1])} at the"
        "largest batch size"
        for name, some in trends.items()
        for t in some
    )
    return Picture(
        name="hyperparameters",
        words=words.TUNING,
        description=f"{words.TUNING.title}. Best {said}.",
        table=trend_table(trends),
        draw=partial(tuning_picture.draw, trends, curves),
    )


def _search(place: int, curve: Curve, found: Searches | None) -> Picture | Absent:
    name = f"search-{place + 1}-{re.sub(r'[^a-z0-9]+', '-', curve.label.lower()).strip('-')}".rstrip("-")[:60]
    if found is None:
        said = words.search_words(curve.label, momentum=False)
        return Absent(name=name, words=said, reason="The learning rate was the same in all trials.")
    said = words.search_words(curve.label, momentum=found.momentum)
    counts = ", ".join(
        f"{search.reached} of {len(search.dots)} at {short(search.batch_size)}" for search in found.searches
    )
    return Picture(
        name=name,
        words=said,
        description=f"{said.title}. Trials that reached the goal by batch size: {counts}.",
        table=search_table(found),
        draw=partial(search_picture.draw, found),
    )


def _budgets(found: Sequence[Budget], curves: Sequence[Curve], metric: str) -> Picture | Absent:
    if not found:
        reason = (
            "Trials were stopped as soon as they could no longer change the steps to the goal, so most "
            "curves are "
            'not whole. Run the experiment with stop = "budget" to have this figure.'
        )
        return Absent(name="budgets", words=words.BUDGETS, reason=reason)
    return Picture(
        name="budgets",
        words=words.BUDGETS,
        description=f"{words.BUDGETS.title}: best validation {metric} of {len(found)} curves and budgets.",
        table=budget_table(found),
        draw=partial(budgets_picture.draw, found, curves, metric),
    )
