"""How many trials are trained as one, by what was measured."""

from __future__ import annotations

import pytest

from headrace.trials.pack_table import Measured, PackTable, best_width, read_table

TABLE = PackTable(
    measured="by hand",
    rows=(
        Measured(model="small", parameters=1_000, batch_size=8, gains={8: 3.0, 16: 5.0, 32: 6.0}),
        Measured(model="small", parameters=1_000, batch_size=64, gains={8: 2.5, 16: 2.4, 32: 2.3}),
        Measured(model="large", parameters=9_000, batch_size=64, gains={8: 1.4, 16: 1.6, 32: 1.2}),
    ),
)


@pytest.mark.parametrize(
    ("parameters", "batch_size", "trials", "width"),
    [
        (900, 8, 64, 32),
        (1_000, 4, 16, 16),  # half of 32 rows would be empty: 3.0 < 5.0
        (1_000, 8, 20, 16),  # 6.0 * 20 / 32 < 5.0
        (1_000, 8, 30, 32),
        (1_000, 8, 4, 8),  # 3.0 * 4 / 8 = 1.5, still enough
        (1_000, 8, 3, 1),
        (1_000, 9, 64, 8),
        (1_001, 8, 64, 16),
        (1_001, 8, 12, 1),
        (9_001, 8, 64, 1),
        (10, 65, 64, 1),
    ],
)
def test_the_number_that_gains_most(parameters: int, batch_size: int, trials: int, width: int) -> None:
    assert best_width(parameters, batch_size, trials, TABLE) == width


def test_the_table_that_comes_along_packs_the_demos_model() -> None:
    assert all(row.gains for row in read_table().rows)
    assert best_width(2_410, 64, 16) == 16
    assert best_width(10**9, 1, 16) == 1
