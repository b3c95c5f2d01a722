"""`fit`: how far batch size pays, from anyone's own table."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.cli._common import Json, print_json, print_table, working
from headrace.cli._options import APath, AText, Texts
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

    Reports whether the law fits, and what holds without it: law_free_interval, and the intervals of the two
    limits.

    Example: headrace fit measured.csv --overhead 0.2 --reference-batch 256

    Args:
        table: A CSV file; several rows of one batch size are replicates.
        batch_size: The column of batch sizes; also found by a tracker's prefix (params.batch_size).
        steps: The column of the steps that reach the goal.
        only: COLUMN=VALUE: count only the rows with this value, for example state=finished; may be repeated.
        overhead: The share by which steps may exceed linear scaling at overhead_batch_size.
        reference_batch: The batch size that linear scaling starts from. Default: the smallest.
        tolerance: The share by which S(B) may miss perfect scaling, or the fewest steps, in the two limits.
    """
    from headrace.analysis import scaling
    from headrace.analysis.tables import read_scaling_table

    with working("reading and fitting the table"):
        batch_sizes, counts = read_scaling_table(
            table, batch_size=batch_size, steps=steps, only=column_values(only or ())
        )
        fitted = scaling.fit(
            batch_sizes, counts, overhead=overhead, reference_batch=reference_batch, tolerance=tolerance
        ).to_dict()
    if json:
        print_json(fitted)
        return 0
    caveats = fitted.pop("caveats")
    print_table(
        ("quantity", "value"), [(key, shown(value)) for key, value in fitted.items()], title=str(table)
    )
    for caveat in caveats:
        print(caveat)
    return 0


def column_values(given: Sequence[str]) -> dict[str, str]:
    """What `--only COLUMN=VALUE` says, as a dictionary.

    Raises:
        InputError: A text without an equals sign, or a column given twice.
    """
    pairs: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError("must be COLUMN=VALUE", where="--only", got=text)
        if name in pairs:
            raise InputError("the column is given twice", where="--only", got=text, fix="Give one value.")
        pairs[name] = value
    return pairs


def shown(value: object) -> object:
    """An interval as text, a dash for an end that is open; anything else as it is."""
    if not isinstance(value, list | tuple):
        return value
    return "[" + ", ".join("-" if item is None else _number(item) for item in value) + "]"


def _number(item: object) -> str:
    return f"{item:.4g}" if isinstance(item, float) else str(item)
