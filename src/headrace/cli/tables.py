"""`fit` and `compare`: the statistics alone, on anyone's own table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from headrace.cli._common import Json, print_json, print_table
from headrace.cli._options import APath, AText, OptionalPath, Texts
from headrace.errors import InputError


def fit(
    table: APath,
    *,
    batch_size: AText = "batch_size",
    steps: AText = "steps",
    only: Texts = None,
    overhead: float = 0.2,
    reference_batch: int | None = None,
    tolerance: float = 0.2,
    json: Json = False,
) -> int:
    """Fit S(B) = Smin (1 + Bcrit / B) to a table with the columns batch_size,steps.

    Example: headrace fit measured.csv --overhead 0.2 --reference-batch 256

    Args:
        table: A CSV file; several rows of one batch size are replicates.
        batch_size: The column of batch sizes; also found by a tracker's prefix (params.batch_size).
        steps: The column of the steps that reach the goal.
        only: COLUMN=VALUE: count the rows with this value alone, for example state=finished; may be repeated.
        overhead: The share by which steps may exceed linear scaling at overhead_batch_size.
        reference_batch: The batch size from which linear scaling is reckoned. Default: the smallest.
        tolerance: The share by which S(B) may miss perfect scaling, or the fewest steps, in the two limits.
    """
    from headrace.analysis import scaling
    from headrace.analysis.tables import read_scaling_table

    batch_sizes, counts = read_scaling_table(
        table, batch_size=batch_size, steps=steps, only=_pairs(only or ())
    )
    fitted = scaling.fit(
        batch_sizes, counts, overhead=overhead, reference_batch=reference_batch, tolerance=tolerance
    ).to_dict()
    if json:
        print_json(fitted)
        return 0
    print_table(
        ("quantity", "value"), [(key, _shown(value)) for key, value in fitted.items()], title=str(table)
    )
    return 0


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
    figure: OptionalPath = None,
    json: Json = False,
) -> int:
    """Is any group better than the baseline? A table with the columns group,seed,metric.

    Example: headrace compare errors.csv --baseline shuffle --metric error

    Args:
        table: A CSV file, one row for each group and seed; groups are paired where their seeds match.
        baseline: The group that all others are compared with.
        metric: The column of the metric; as the next two also found by a tracker's prefix (metrics.error).
        group: The column of the groups, for example params.policy.
        seed: The column of the seeds; the rows of two groups with one seed are a pair.
        higher_is_better: For an accuracy; an error or a number of steps is better when lower.
        level: The level of the intervals; the verdicts are corrected for the number of groups (Holm).
        only: COLUMN=VALUE: count the rows with this value alone, for example size=6875; may be repeated.
        figure: Draw every group's difference and interval into this .svg, .pdf or .png file.
    """
    from headrace.analysis.comparison import compare as compare_groups
    from headrace.analysis.tables import read_comparison_table

    groups, seeds, values = read_comparison_table(
        table, metric=metric, group=group, seed=seed, only=_pairs(only or ())
    )
    result = compare_groups(
        groups, seeds, values, baseline=baseline, higher_is_better=higher_is_better, level=level
    )
    if figure is not None:
        from headrace.report.forest import write_forest

        write_forest(figure, result, metric)
    if json:
        print_json(result.to_dict())
        return 0
    columns = ("group", "verdict", "difference", "interval", "p (adjusted)", "could have shown")
    rows = [
        (
            g["group"],
            g["verdict"],
            g["difference"],
            _shown(g["interval"]),
            g["p_adjusted"],
            g["detectable_difference"],
        )
        for g in result.to_dict()["groups"]
    ]
    print_table(columns, rows, title=f"{metric} against {baseline}")
    return 0


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError("must be COLUMN=VALUE", where="--only", got=text)
        if name in pairs:
            raise InputError("the column is chosen twice", where="--only", got=text, fix="Give one value.")
        pairs[name] = value
    return pairs


def _shown(value: object) -> object:
    if isinstance(value, list | tuple):
        return (
            "[" + ", ".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in value) + "]"
        )
    return value
