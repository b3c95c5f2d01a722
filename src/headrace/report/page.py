"""The page of an experiment: what the template is given, and the template filled in, every text escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.analysis.advice import Advice
from headrace.report.figures import Absent
from headrace.report.figures.hyperparameters import trends
from headrace.report.figures.recommendation import frontier_rows
from headrace.report.frame import Live, Provenance, Shown, lead, render
from headrace.report.numbers import plain, whole
from headrace.report.portrait_part import portrait_part
from headrace.report.replicate_part import replicate_part
from headrace.report.values import Curve, Fit, Point
from headrace.report.values import curves as curves_of
from headrace.report.words import GLOSSARY

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis


def page(
    analysis: Analysis,
    figures: Sequence[Shown | Absent],
    about_examples: Sequence[Shown | Absent],
    live: Live | None = None,
) -> str:
    """The whole page as HTML; one file that fetches nothing.

    Args:
        analysis: What is shown.
        figures: Its figures.
        about_examples: Those of its portraits.
        live: What it says of a run that is under way, or None.
    """
    curves = curves_of(analysis)
    grid = analysis.grid
    said = conclusions(analysis)
    first = [] if grid else [text for text in said if text not in analysis.later]
    advice = analysis.advice if isinstance(analysis.advice, Advice) else None
    return render(
        "report.html",
        results=analysis.results,
        metric=analysis.metric,
        advice=advice,
        advice_rows=frontier_rows(advice) if advice else [],
        summary=[summary_row(curve) for curve in curves],
        figures=[figure for figure in figures if isinstance(figure, Shown)],
        absent=[figure for figure in figures if isinstance(figure, Absent)],
        replicates=replicate_part(analysis),
        studies=study_rows(analysis, curves),
        unit=curves[0].unit if curves else "examples",
        counts=counts(analysis),
        headline=grid.headline if grid else headline(curves),
        verdict=grid.lines if grid else (),
        conclusions=[lead(text) for text in first],
        by_curve=[lead(text) for text in said if text not in first],
        most_open=MOST_OPEN,
        warnings=warnings(analysis),
        provenance=provenance(analysis),
        portraits=portrait_part(analysis, about_examples),
        glossary=GLOSSARY,
        live=live,
        plain=plain,
    )


_FACTS = {
    "train_examples": "training examples",
    "validation_examples": "validation examples",
    "test_examples": "test examples",
    "parameters": "parameters of the model",
}
"""Count of a workload -> how it is written."""


def provenance(analysis: Analysis) -> Provenance:
    """Facts about how the results came about."""
    asked = analysis.asked
    said = {name: str(asked.facts[name]) for name in ("description",) if name in asked.facts}
    counted = {
        words: whole(float(asked.facts[name])) for name, words in _FACTS.items() if name in asked.facts
    }
    return Provenance(experiment=asked.text, seed=asked.seed, facts=said | counted)


MOST_OPEN = 6
"""How many figures are open; the others are behind a fold."""
_NAMED = 4
"""How many curves the headline names one by one."""


def headline(curves: Sequence[Curve]) -> str:
    """The answer in one sentence: up to which batch size a larger one saves steps, with its interval."""
    known = [(curve, curve.fit) for curve in curves if curve.fit and curve.fit.max_useful_batch_size]
    if not known:
        return "Too few batch sizes reached the goal to say how far batch size pays."
    if len(known) > _NAMED:
        sizes = [fit.max_useful_batch_size or 0.0 for _, fit in known]
        ends = f"{whole(min(sizes))} to {whole(max(sizes))}"
        return f"Larger batches save steps up to batch sizes of {ends}: it depends on the curve."
    parts = [_useful(curve, fit, named=len(curves) > 1) for curve, fit in known]
    return f"Larger batches save steps up to a batch size of {', and of '.join(parts)}."


def _useful(curve: Curve, fit: Fit, *, named: bool) -> str:
    size, largest = whole(fit.max_useful_batch_size), fit.max_useful_is_largest_tested
    said = f"at least {size}" if largest else size
    spread = _tested(curve, fit.max_useful_low, fit.max_useful_high)
    return said + (f" with {curve.label}" if named else "") + (f" (95% interval: {spread})" if spread else "")


def summary_row(curve: Curve) -> dict[str, str]:
    """One row of the summary: the curve's name and its four numbers, as they are written."""
    fit = curve.fit or Fit(steps_min=None, critical_batch_size=None)
    fewest = curve.fewest
    return {
        "curve": curve.label,
        "perfect": _perfect(curve, fit),
        "perfect_interval": _tested(curve, fit.perfect_scaling_low, fit.perfect_scaling_high),
        "useful": _at_least(fit.max_useful_batch_size, largest=fit.max_useful_is_largest_tested),
        "useful_interval": _tested(curve, fit.max_useful_low, fit.max_useful_high),
        "critical": plain(fit.critical_batch_size),
        "critical_interval": interval(fit.low, fit.high) if fit.critical_batch_size is not None else "",
        "fewest": whole(fewest.steps) if fewest else "goal not reached",
        "fewest_at": f"at batch size {whole(fewest.batch_size)}" if fewest else "",
        "fewest_interval": interval(*fewest.interval) if fewest else "",
    }


def _perfect(curve: Curve, fit: Fit) -> str:
    """Where perfect scaling ends; the smallest batch size says that there is none."""
    limit, largest = fit.perfect_scaling_limit, fit.perfect_scaling_is_largest_tested
    nowhere = bool(curve.reached) and limit == curve.reached[0].batch_size and not largest
    return "none" if nowhere else _at_least(limit, largest=largest)


def _at_least(value: float | None, *, largest: bool) -> str:
    return f"≥ {whole(value)}" if largest and value is not None else whole(value)


def interval(low: float | None, high: float | None) -> str:
    """An interval in words: `12 to 34`, `at least 12` where it is open above."""
    if low is None:
        return ""
    if high is None or math.isinf(high):
        return f"at least {plain(low)}" if low > 0 else "not bounded"
    return f"{plain(low)} to {plain(high)}" if low > 0 else f"at most {plain(high)}"


def _tested(curve: Curve, low: float | None, high: float | None) -> str:
    """An interval of batch sizes; one that ends at the largest tested is open: its end was not seen."""
    largest = curve.reached[-1].batch_size if curve.reached else 0
    return interval(low, None if high is not None and high >= largest else high)


def study_rows(analysis: Analysis, curves: Sequence[Curve]) -> list[dict[str, str]]:
    """Every study as a row of text."""
    rows = {row["study"]: row for row in analysis.steps.to_dicts()}
    best: dict[tuple[str, str, int], float] = {
        (name, trend.curve, size): value
        for name, some in trends(analysis, curves).items()
        for trend in some
        for size, value in zip(trend.sizes, trend.values, strict=True)
    }
    return [_study_row(curve, point, rows[point.study], best) for curve in curves for point in curve.points]


def _study_row(
    curve: Curve, point: Point, row: Mapping[str, Any], best: Mapping[tuple[str, str, int], float]
) -> dict[str, str]:
    names = ("learning_rate", "momentum")
    return {
        "curve": curve.label,
        "batch_size": whole(point.batch_size),
        "steps": whole(point.steps) if point.steps is not None else "not reached",
        "interval": interval(*point.interval) if point.steps is not None else "",
        "examples": whole(None if point.examples is None else point.examples * curve.worth),
        **{name: plain(best.get((name, curve.label, point.batch_size))) for name in names},
        **{name: whole(row[name]) for name in ("complete", "stopped", "infeasible", "failed")},
    }


def counts(analysis: Analysis) -> dict[str, str]:
    """How many trials ended in which way, over all studies."""
    rows = analysis.steps.to_dicts()
    return {
        name: whole(sum(row[name] for row in rows))
        for name in ("complete", "stopped", "infeasible", "failed")
    }


def warnings(analysis: Analysis) -> list[str]:
    """What a reader must know before trusting the numbers, in the words of the analysis."""
    unfinished = "The experiment is not finished: these are the results of the studies that are decided."
    said = [] if analysis.results.get("finished", True) else [unfinished]
    return said + [str(text) for text in analysis.results.get("warnings", [])]


def conclusions(analysis: Analysis) -> list[str]:
    """The findings; the warnings among them have their own place."""
    cautions = set(analysis.results.get("warnings", []))
    said = [str(text) for text in analysis.results["conclusions"] if text not in cautions]
    # Of the portraits the first sentence; all of them open their own part.
    return said + analysis.results.get("portraits", {}).get("conclusions", [])[:1]
