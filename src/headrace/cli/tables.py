"""`fit`: how far batch size pays, from anyone's own table."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.cli._common import Json, print_json, print_table, working
from headrace.cli._options import APath, AText, OptionalText, Texts, check_number
from headrace.errors import InputError

MOST_TOKENS = 10**9
"""Tokens that an example can have."""


def fit(
    table: APath,
    *,
    batch_size: AText = "batch_size",
    steps: AText = "steps",
    tokens: OptionalText = None,
    tokens_per_example: float | None = None,
    only: Texts = None,
    overhead: float = 0.2,
    reference_batch: int | None = None,
    tolerance: float = 0.2,
    json: Json = False,
) -> int:
    """Fit S(B) = Smin (1 + Bcrit / B) to a table with the columns batch_size,steps.

    Reports whether the law fits, and what holds without it: law_free_interval, and the intervals of the two
    limits.

    Of a language model, batch sizes may be in tokens, and tokens to the goal may stand in for steps.

    Example: headrace fit measured.csv --overhead 0.2 --reference-batch 256
    Example: headrace fit llm.csv --batch-size sequences --tokens tokens --tokens-per-example 2048

    Args:
        table: A CSV file; several rows of one batch size are replicates.
        batch_size: The column of batch sizes; also found by a tracker's prefix (params.batch_size).
        steps: The column of the steps that reach the goal.
        tokens: The column of the tokens that reach the goal, in place of steps. Batch sizes are then in
            tokens, if tokens_per_example does not say otherwise.
        tokens_per_example: The tokens of an example: batch sizes of the table are in examples, those that are
            reported in tokens.
        only: COLUMN=VALUE: count only the rows with this value, for example state=finished; may be repeated.
        overhead: The share by which steps may exceed linear scaling at overhead_batch_size.
        reference_batch: The batch size that linear scaling starts from. Default: the smallest.
        tolerance: The share by which S(B) may miss perfect scaling, or the fewest steps, in the two limits.
    """
    from headrace.analysis import scaling
    from headrace.analysis.tables import read_scaling_table

    check_number("--tokens-per-example", tokens_per_example, 1, MOST_TOKENS)
    if tokens is not None and steps != "steps":
        raise InputError(
            "is not read if there is --tokens", where="--steps", got=steps, fix="Give one of them."
        )
    in_tokens = tokens is not None or tokens_per_example is not None or "tokens" in batch_size.lower()
    with working("reading and fitting the table"):
        batch_sizes, counts = read_scaling_table(
            table,
            batch_size=batch_size,
            steps=steps,
            tokens=tokens,
            tokens_per_example=tokens_per_example or 1.0,
            only=column_values(only or ()),
        )
        fitted = scaling.fit(
            batch_sizes, counts, overhead=overhead, reference_batch=reference_batch, tolerance=tolerance
        ).to_dict()
    if json:
        print_json(fitted | ({"unit": "tokens"} if in_tokens else {}))
        return 0
    caveats = fitted.pop("caveats")
    title = f"{table}, batch sizes in tokens" if in_tokens else str(table)
    print_table(("quantity", "value"), [(key, shown(value)) for key, value in fitted.items()], title=title)
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
