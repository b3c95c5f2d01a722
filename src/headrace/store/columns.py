"""The columns of a store's measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def schema(metric_name: str = "error") -> dict[str, type[pl.DataType]]:
    """The columns of measurements and their types."""
    import polars as pl

    metrics = ["train/loss"] + [
        f"{split}/{name}" for split in ("validation", "test") for name in ("loss", metric_name)
    ]
    counts = dict.fromkeys(("trial", "step", "examples_forwarded", "examples_backpropagated"), pl.Int64)
    return {**counts, **dict.fromkeys(metrics, pl.Float64)}
