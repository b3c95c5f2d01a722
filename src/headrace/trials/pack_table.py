"""How many trials are trained as one where that was measured to pay. Imports no torch.

The table next to this file says how many times as many trials a second packs give, by the number of
parameters, the batch size and the size of the packs; `python -m benchmarks packed_trials` measures it.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from headrace.records import Record

OTHER_DEVICE = "it was measured on CPUs alone"
OTHER_LAYERS = "it was measured for models of dense layers alone"
TOO_LARGE = "it was not measured to pay at this size of models and batches"
BY_TABLE = frozenset({OTHER_DEVICE, OTHER_LAYERS, TOO_LARGE})
"""Why trials are not packed that could be."""

LEAST_GAIN = 1.5
"""Below this many times as many trials a second it is not worth other roundings."""


class Measured(Record):
    """One model and batch size.

    Attributes:
        model: Which one.
        parameters: How many numbers its parameters have.
        batch_size: Examples per step.
        gains: Trials in a pack -> trials a second over those of trials one by one.
    """

    model: str
    parameters: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    gains: dict[int, float]


class PackTable(Record):
    """What was measured.

    Attributes:
        measured: On what, and how.
        rows: The measurements.
    """

    measured: str
    rows: tuple[Measured, ...]


def read_table() -> PackTable:
    """The table that comes with the package."""
    path = Path(__file__).with_suffix(".json")
    return PackTable.model_validate_json(path.read_bytes())


def best_width(parameters: int, batch_size: int, trials: int, table: PackTable | None = None) -> int:
    """How many trials are best trained as one; 1 where packing was not measured to pay.

    A model is judged by the next larger one that was measured, a batch size likewise. A pack that has more
    rows than there are trials gains as much less.

    Args:
        parameters: How many numbers the model's parameters have.
        batch_size: Examples per step.
        trials: How many trials a study has.
        table: What was measured; None for what comes with the package.
    """
    rows = (read_table() if table is None else table).rows
    fitting = [row for row in rows if row.parameters >= parameters and row.batch_size >= batch_size]
    if not fitting:
        return 1
    row = min(fitting, key=lambda row: (row.parameters, row.batch_size))
    gains = {width: gain * min(1.0, trials / width) for width, gain in row.gains.items()}
    best = max(gains, key=lambda width: (gains[width], -width), default=1)
    return best if gains.get(best, 0.0) >= LEAST_GAIN else 1
