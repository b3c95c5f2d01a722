"""`compare`: is any group better than the baseline, in anyone's own table?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from headrace.better import better_by_name
from headrace.cli._common import Json, print_json, print_table, working
from headrace.cli._options import APath, AText, OptionalPath, OptionalText, Texts
from headrace.cli.tables import column_values, shown
from headrace.errors import InputError

if TYPE_CHECKING:
    from headrace.analysis.comparison import Comparison
    from headrace.analysis.planning import SeedPlan

_READING = "reading and comparing the table"
_COLUMNS = ("group", "verdict", "difference", "interval", "p (adjusted)", "could have shown")


def compare(
    table: APath,
    *,
    baseline: AText,
    metric: AText = "metric",
    group: AText = "group",
    seed: AText = "seed",
    higher_is_better: Annotated[bool, Parameter(negative="")] = False,
    level: float = 0.95,
    only: Texts = None,
    by: OptionalText = None,
    margin: float | None = None,
    granularity: float | None = None,
    pairing: Literal["auto", "always", "never"] = "auto",
    sequential: Annotated[bool, Parameter(negative="")] = False,
    plan: Annotated[bool, Parameter(negative="")] = False,
    difference: float | None = None,
    figure: OptionalPath = None,
    json: Json = False,
) -> int:
    """Is any group better than the baseline? A table with the columns group,seed,metric.

    Example: headrace compare errors.csv --baseline shuffle --metric error

    Args:
        table: A CSV file, one row for each group and seed; three seeds or more for a verdict, five are good.
        baseline: The group that all others are compared with.
        metric: The column of the metric; `nan` or `diverged` in it is a run that diverged. Like the next two
            also found by a tracker's prefix (metrics.error).
        group: The column of the groups, for example params.policy.
        seed: The column of the seeds; rows of two groups with one seed are a pair if seeds matter.
        higher_is_better: For an accuracy; an error or a number of steps is better when lower.
        level: The level of the intervals; the verdicts are corrected for the number of groups (Holm).
        only: COLUMN=VALUE: count only the rows with this value, for example size=6875; may be repeated.
        by: A column whose values are data sets: each is compared separately, then all together.
        margin: The difference below which it does not matter which is taken: adds the verdict "equivalent".
        granularity: The step in which the metric is counted, for example 0.001. Default: detected.
        pairing: Use differences at equal seeds: if the seeds are shown to matter, always, or never.
        sequential: Say that the table is compared again after every further seed, until there is a verdict.
        plan: How many seeds would show --difference, from the scatter in the table.
        difference: The difference to show, in the metric's unit; with --plan.
        figure: Draw every group's difference and interval into this .svg, .pdf or .png file.
    """
    from headrace.analysis.comparison import check_baseline
    from headrace.analysis.comparison import compare as compare_groups
    from headrace.analysis.planning import plan_seeds
    from headrace.analysis.tables import read_comparison_table, read_strata

    _check(plan=plan, difference=difference, by=by, figure=figure)
    if not plan:
        _check_direction(metric, higher=higher_is_better)
    columns: dict[str, str] = {"metric": metric, "group": group, "seed": seed}
    chosen = column_values(only or ())
    if plan:
        with working(_READING):
            groups, _, values = read_comparison_table(table, only=chosen, **columns)
        check_baseline(groups, baseline)
        return _plan(plan_seeds(groups, values, difference=difference or 0.0, level=level), baseline, json)
    settings: dict[str, Any] = {
        "baseline": baseline,
        "higher_is_better": higher_is_better,
        "level": level,
        "pairing": pairing,
        "granularity": granularity,
        "margin": margin,
        "sequential": sequential,
    }
    if by is not None:
        found: dict[str, Comparison] = {}
        with working(_READING):
            for value in read_strata(table, by, chosen):
                data = read_comparison_table(table, only={**chosen, by: value}, **columns)
                try:
                    found[value] = compare_groups(*data, **settings)
                except InputError as error:
                    raise error.within(f"{by}={value}") from None
        return _all_together(found, by, metric, json)
    with working(_READING):
        result = compare_groups(*read_comparison_table(table, only=chosen, **columns), **settings)
    if figure is not None:
        from headrace.report.forest import write_forest

        write_forest(figure, result, metric)
    if json:
        print_json(result.to_dict())
        return 0
    _print(result, metric)
    return 0


def _check(*, plan: bool, difference: float | None, by: str | None, figure: Path | None) -> None:
    if plan != (difference is not None):
        raise InputError(
            "--plan and --difference must be given together",
            where="--plan",
            fix="For example: --plan --difference 0.002.",
        )
    if by is not None and figure is not None:
        raise InputError(
            "draws one comparison only", where="--figure", fix="Leave out --by, and choose rows with --only."
        )


def _check_direction(metric: str, *, higher: bool) -> None:
    """Refuse to call a higher accuracy worse: the verdicts would be turned round."""
    said = better_by_name(metric)
    if said is None or (said == "higher") == higher:
        return
    option = "Give --higher-is-better" if said == "higher" else "Leave out --higher-is-better"
    raise InputError(
        f"a metric of this name is better when it is {said}",
        where="--metric",
        got=metric,
        fix=f"{option}; or rename the column if it is not.",
    )


def _plan(found: SeedPlan, baseline: str, json: bool) -> int:
    if json:
        print_json(found.to_dict())
        return 0
    low, high = found.seeds_interval
    least = "even " if found.seeds_is_at_least else ""
    print(
        f"{least}{found.seeds:,} seeds of each group and of {baseline} show a difference of "
        f"{found.difference:.4g} four times in five, because one seed scatters by {found.scatter:.4g}. "
        f"That scatter is an estimate; within its interval it takes {low:,} to {high:,} seeds."
    )
    return 0


def _all_together(found: Mapping[str, Comparison], by: str, metric: str, json: bool) -> int:
    from headrace.analysis.aggregate import aggregate

    together = aggregate(found)
    if json:
        print_json(
            {
                "by": by,
                "strata": {name: one.to_dict() for name, one in found.items()},
                "together": [one.to_dict() for one in together],
            }
        )
        return 0
    columns = ("group", "verdict", "relative difference", "interval", "p (adjusted)", "data sets")
    rows = [
        (
            one.group,
            one.verdict,
            one.relative_difference,
            shown(one.interval),
            one.p_adjusted,
            len(one.strata),
        )
        for one in together
    ]
    first = next(iter(found.values()))
    print_table(
        columns, rows, title=f"{metric} against {first.baseline}, mean over {len(found)} values of {by}"
    )
    for name, one in found.items():
        print()
        _print(one, f"{by} {name}: {metric}")
    return 0


def _print(result: Comparison, metric: str) -> None:
    rows = [
        (
            g["group"],
            g["verdict"],
            g["difference"],
            shown(g["interval"]),
            g["p_adjusted"],
            g["detectable_difference"],
        )
        for g in result.to_dict()["groups"]
    ]
    print_table(_COLUMNS, rows, title=f"{metric} against {result.baseline}")
    for line in _notes(result):
        print(line)


def _notes(result: Comparison) -> Iterator[str]:
    few = [group.group for group in result.groups if not group.tested]
    if few:
        yield f"Fewer than three seeds give no verdict: {', '.join(few)} or {result.baseline} need more."
    lost = {group.group: group.diverged for group in result.groups if group.diverged}
    lost |= {result.baseline: result.baseline_diverged} if result.baseline_diverged else {}
    if lost:
        counted = ", ".join(f"{count} of {name}" for name, count in lost.items())
        yield f"Runs that diverged count as an outcome of their own and are not part of any mean: {counted}."
    if result.granularity:
        yield f"The metric is counted in steps of {result.granularity:.4g}; rounding is part of the scatter."
    if result.tested_level != result.level:
        yield (
            f"This look is tested at a level of {result.tested_level:.2%}, "
            f"so that all looks together keep to {result.level:.0%}."
        )
