"""The page of a subset search: what the template is given, and the template filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.analysis.search_results import Compared, SearchAnalysis, SearchResults, StageCost, Transfer
from headrace.analysis.words import percent
from headrace.report.figures import Absent
from headrace.report.frame import Provenance, Shown, lead, render
from headrace.report.looked_at import shown_examples
from headrace.report.numbers import plain, signed, whole
from headrace.report.words import LOOKED_AT_BY_SEARCH, SEARCH_GLOSSARY

if TYPE_CHECKING:
    from headrace.analysis.chosen import Holding


def page(analysis: SearchAnalysis, figures: Sequence[Shown | Absent]) -> str:
    """The whole page as HTML; one file that fetches nothing. It may open with "not worth it here"."""
    results = analysis.results
    first, *others = results.conclusions
    return render(
        "subset.html",
        results=results,
        headline=first,
        conclusions=[lead(text) for text in others],
        metric=results.metric.replace("/", " "),
        verdicts=verdict_rows(results, results.acquisition),
        figures=[figure for figure in figures if isinstance(figure, Shown)],
        absent=[figure for figure in figures if isinstance(figure, Absent)],
        held=held_rows(analysis),
        examples=shown_examples(analysis.looked_at, LOOKED_AT_BY_SEARCH),
        means=mean_rows(results),
        transfers=[_transfer(other, results.acquisition) for other in results.transfers],
        costs=cost_rows(results.cost.planned, results.cost.spent),
        facts=_facts(results),
        provenance=Provenance(experiment=analysis.text),
        people=analysis.people,
        glossary=SEARCH_GLOSSARY,
    )


def _transfer(other: Transfer, methods: Sequence[str]) -> dict[str, Any]:
    return {"name": other.name, "verdicts": verdict_rows(other, methods), "means": mean_rows(other)}


def verdict_rows(results: Compared, methods: Sequence[str]) -> list[list[str]]:
    """Every method at every size against each baseline, the header first."""
    rows = [
        [
            f"{group.group} at {whole(one.size)}",
            one.baseline,
            f"{signed(group.difference)} ({' to '.join(map(signed, group.interval))})",
            group.verdict,
        ]
        for one in results.comparisons
        for group in one.groups
        if group.group in methods
    ]
    return [["method and examples", "against", "difference (interval)", "verdict"], *rows]


def mean_rows(results: Compared) -> list[list[str]]:
    """The means of all groups and sizes, the header first."""
    rows = [
        [
            row.group,
            whole(row.size),
            f"{row.share:.1%}",
            plain(row.mean),
            "–" if row.interval is None else " to ".join(plain(end) for end in row.interval),
            str(row.seeds),
        ]
        for row in results.table
    ]
    return [
        ["group", "examples", "share", results.metric.replace("/", " "), "95% interval", "seeds"],
        *rows,
    ]


def held_rows(analysis: SearchAnalysis) -> list[list[str]]:
    """What the subsets hold, means over the seeds, the header first; without what no subset has."""
    header = ["method", "examples", "different", "wrong labels", "taken most", "taken least"]
    rows = [_held(analysis.classes, holding) for holding in analysis.holdings]
    known = [place for place in range(len(header)) if any(row[place] != "–" for row in rows)]
    return [[row[place] for place in known] for row in (header, *rows)]


def _held(classes: Sequence[str], holding: Holding) -> list[str]:
    import numpy as np

    wrong, means = holding.wrong, holding.means
    most = least = "–"
    if means is not None:
        most, least = (
            f"{classes[place]}: {plain(float(means[place]), 2)} times"
            for place in (int(np.nanargmax(means)), int(np.nanargmin(means)))
        )
    return [
        holding.group,
        whole(holding.size),
        whole(holding.different),
        "–" if wrong is None else f"{percent(wrong[0])} ({percent(wrong[1])} to {percent(wrong[2])})",
        most,
        least,
    ]


def cost_rows(planned: Sequence[StageCost], spent: Sequence[StageCost]) -> list[list[str]]:
    """What each group's stages cost with the first seed, planned and spent, the header first."""
    header = [
        "group", "stage", "examples trained: planned", "spent", "examples scored: planned", "spent", "labels",
    ]  # fmt: skip
    made = {cost.key: cost for cost in spent}
    totals: dict[tuple[str, str], list[int]] = {}
    for plan in planned:
        if plan.seed == 0:
            total = totals.setdefault((plan.group, plan.stage), [0] * 5)
            for place, cost in enumerate(_costs(plan, made.get(plan.key))):
                total[place] += cost
    return [header, *([*group, *map(whole, total)] for group, total in totals.items())]


def _costs(plan: StageCost, made: StageCost | None) -> tuple[int, ...]:
    """The five numbers of a row."""
    if made is None:
        return plan.examples_trained, 0, plan.examples_scored, 0, 0
    return (
        plan.examples_trained, made.examples_trained, plan.examples_scored, made.examples_scored,
        made.labels_bought,
    )  # fmt: skip


def _facts(results: SearchResults) -> list[tuple[str, str]]:
    methods = (
        f"{method.name} ({', '.join(filter(None, (method.acquisition, method.select.name)))})"
        for method in results.methods
    )
    return [
        ("training examples", whole(results.examples)),
        ("metric", results.metric.replace("/", " ")),
        ("seeds, each a whole search", str(results.seeds)),
        ("methods", "; ".join(methods)),
        ("the subset", results.subset or "not there yet"),
    ]
