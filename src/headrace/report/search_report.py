"""The report of a subset search: from its folder to `report.html`, in the style of the other report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.analysis.chosen import Holding, holdings, largest
from headrace.analysis.portraits import percent
from headrace.errors import HeadraceError
from headrace.files import guarded, write_whole
from headrace.report import searches
from headrace.report.figures import Absent, Picture, score_figure
from headrace.report.frame import Provenance, Shown, lead, render
from headrace.report.gallery import rooms
from headrace.report.numbers import plain, signed, whole
from headrace.report.pictures import searches as picture
from headrace.report.search_results import read_results
from headrace.report.search_words import CLASSES, GLOSSARY, LINES, SCORES, WALLS
from headrace.report.write import draw_all, versions
from headrace.specs.search import SubsetSearch
from headrace.store.chosen import Chosen, read_chosen, read_table

if TYPE_CHECKING:
    from headrace.report.render import Format

SEARCH = "search.toml"


def is_search(directory: Path) -> bool:
    """Whether the folder is that of a subset search."""
    return (directory / SEARCH).is_file()


def write_search_report(directory: Path, *, formats: Sequence[Format] = ("svg", "pdf", "png")) -> Path:
    """Write `report.html` of a subset search from what its folder holds, and its figures beside it.

    The page stands alone: it opens with the conclusions, "not worth it here" among the possible ones.

    Args:
        directory: The folder of the search.
        formats: The formats of the figures' files; empty for the page alone.

    Returns:
        The path of the page.

    Raises:
        InputError: The search has not come to any results yet.
        DamagedError: A stored file is truncated or was altered.
    """
    results = read_results(directory)
    chosen = read_chosen(directory)
    path = directory / "report.html"
    with guarded(directory):
        drawn = draw_all(figures(results, directory, chosen), directory, formats)
        write_whole(
            path,
            page(results, chosen, drawn, _provenance(directory), people=_by_people(directory)).encode(
                "utf-8"
            ),
        )
    return path


def page(
    results: Mapping[str, Any],
    chosen: Chosen | None,
    drawn: Sequence[Shown | Absent],
    provenance: Provenance,
    *,
    people: bool = False,
) -> str:
    """The whole page as HTML; one file that fetches nothing."""
    first, *others = results["conclusions"]
    return render(
        "subset.html",
        results=results,
        headline=first,
        conclusions=[lead(text) for text in others],
        metric=results["metric"].replace("/", " "),
        verdicts=verdict_rows(results),
        figures=[figure for figure in drawn if isinstance(figure, Shown)],
        absent=[figure for figure in drawn if isinstance(figure, Absent)],
        held=held_rows(chosen),
        rooms=rooms(chosen.galleries, WALLS) if chosen else [],
        means=mean_rows(results),
        transfers=[_transfer(results, other) for other in results["transfers"]],
        costs=cost_rows(results),
        facts=_facts(results),
        provenance=provenance,
        people=people,
        glossary=GLOSSARY,
    )


def _transfer(results: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": other["name"], "verdicts": verdict_rows({**results, **other}), "means": mean_rows(other)}


def figures(results: Mapping[str, Any], directory: Path, chosen: Chosen | None) -> list[Picture | Absent]:
    """All figures of a search, and why others are left out."""
    found: list[Picture | Absent] = [_lines(results, "sizes", "", people=_by_people(directory))]
    found += [
        _lines({**other, "examples": results["examples"]}, f"sizes-{i + 1}", f": {other['name']}")
        for i, other in enumerate(results["transfers"])
    ]
    return [*found, _classes(chosen), _scores(results, directory)]


def _by_people(directory: Path) -> bool:
    """Whether people gave the labels: then nothing can be compared."""
    try:
        return SubsetSearch.from_toml(directory / SEARCH).search.oracle == "people"
    except HeadraceError:
        # There is no file, or one of another version.
        return False


def _lines(results: Mapping[str, Any], name: str, more: str, *, people: bool = False) -> Picture | Absent:
    words = replace(LINES, title=LINES.title + more)
    lines = searches.lines(results["table"])
    if not any(line.group != "full" for line in lines):
        reason = "Nothing was compared: give the search a table [comparison]."
        if people:
            reason = (
                "Nothing was compared, because people gave the labels, and none to what was not chosen. With "
                "oracle = 'dataset', on data whose labels are known, a search can be compared."
            )
        return Absent(name=name, words=words, reason=reason)
    metric = results["metric"].replace("/", " ")
    said = "; ".join(
        f"{line.group}: {plain(line.means[-1])} at {whole(line.sizes[-1])} examples" for line in lines
    )
    return Picture(
        name=name,
        words=words,
        description=f"{words.title}, {metric}. {said}.",
        table=searches.line_table(results["table"]),
        draw=partial(picture.draw_lines, lines, metric, results["examples"]),
    )


def _classes(chosen: Chosen | None) -> Picture | Absent:
    shares = None if chosen is None else searches.class_shares(chosen.classes, largest(holdings(chosen)))
    if shares is None:
        reason = "The labels of what was not chosen are hidden, so it is not known how often classes occur."
        return Absent(name="classes", words=CLASSES, reason=reason)
    words = CLASSES
    if shares.left_out:
        left = f"Of {shares.left_out + len(shares.classes)} classes those are shown that differ most from 1."
        words = replace(CLASSES, caption=(*CLASSES.caption, left))
    said = " ".join(
        f"{group}: {plain(min(some)[0])} to {plain(max(some)[0])}." for group, some in shares.groups.items()
    )
    return Picture(
        name="classes",
        words=words,
        description=f"{CLASSES.title}, the means of the classes. {said}",
        table=searches.class_table(shares),
        draw=partial(picture.draw_classes, shares),
    )


def _scores(results: Mapping[str, Any], directory: Path) -> Picture | Absent:
    tables = {group: read_table(directory, group) for group in results["acquisition"]}
    there = {group: table for group, table in tables.items() if table is not None}
    found = searches.taken_scores(there)
    if not found:
        reason = "No method of this search chooses by a score of each example."
        return Absent(name="chosen-scores", words=SCORES, reason=reason)
    return score_figure(found, "chosen-scores", SCORES)


def verdict_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Every method at every size against each baseline, the header first."""
    rows = [
        [
            f"{group['group']} at {whole(one['size'])}",
            one["baseline"],
            f"{signed(group['difference'])} ({' to '.join(map(signed, group['interval']))})",
            group["verdict"],
        ]
        for one in results["comparisons"]
        for group in one["groups"]
        if group["group"] in results["acquisition"]
    ]
    return [["method and examples", "against", "difference (interval)", "verdict"], *rows]


def mean_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """The means of all groups and sizes, the header first."""
    rows = [
        [
            row["group"],
            whole(row["size"]),
            f"{row['share']:.1%}".replace("%", " %"),
            plain(row["mean"]),
            "–" if row["interval"] is None else " to ".join(plain(end) for end in row["interval"]),
            str(row["seeds"]),
        ]
        for row in results["table"]
    ]
    return [
        ["group", "examples", "share", results["metric"].replace("/", " "), "95 % interval", "seeds"],
        *rows,
    ]


def held_rows(chosen: Chosen | None) -> list[list[str]]:
    """What the subsets hold, means over the seeds, the header first; without what is known of none."""
    header = ["method", "examples", "different", "wrong labels", "taken most", "taken least"]
    rows = [_held(chosen, holding) for holding in holdings(chosen)] if chosen else []
    known = [place for place in range(len(header)) if any(row[place] != "–" for row in rows)]
    return [[row[place] for place in known] for row in (header, *rows)]


def _held(chosen: Chosen, holding: Holding) -> list[str]:
    import numpy as np

    wrong, means = holding.wrong, holding.means
    most = least = "–"
    if means is not None:
        most, least = (
            f"{chosen.classes[place]}: {plain(float(means[place]), 2)} times"
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


def cost_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """What each group's stages cost with the first seed, planned and spent, the header first."""
    spent = {_stage(cost): cost for cost in results["cost"]["spent"]}
    header = [
        "group", "stage", "examples trained: planned", "spent", "examples scored: planned", "spent", "labels",
    ]  # fmt: skip
    totals: dict[tuple[str, str], list[int]] = {}
    for plan in results["cost"]["planned"]:
        if plan["seed"] == 0:
            made = spent.get(_stage(plan), {})
            total = totals.setdefault((plan["group"], plan["stage"]), [0] * 5)
            for place, (cost, name) in enumerate(
                [
                    (plan, "examples_trained"),
                    (made, "examples_trained"),
                    (plan, "examples_scored"),
                    (made, "examples_scored"),
                    (made, "labels_bought"),
                ]
            ):
                total[place] += cost.get(name, 0)
    return [header, *([*group, *map(whole, total)] for group, total in totals.items())]


def _stage(cost: Mapping[str, Any]) -> tuple[Any, ...]:
    return cost["seed"], cost["group"], cost["stage"], cost["size"]


def _facts(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    methods = (
        f"{method['name']} ({', '.join(filter(None, (method['acquisition'], method['select']['name'])))})"
        for method in results["methods"]
    )
    return [
        ("training examples", whole(results["examples"])),
        ("metric", results["metric"].replace("/", " ")),
        ("seeds, each a whole search", str(results["seeds"])),
        ("methods", "; ".join(methods)),
        ("the subset", results["subset"] or "not there yet"),
    ]


def _provenance(directory: Path) -> Provenance:
    text = (
        (directory / SEARCH).read_text(encoding="utf-8", errors="replace") if is_search(directory) else None
    )
    return Provenance(experiment=text, seed=None, facts={}, versions=versions())
