"""The rule of divergence."""

from __future__ import annotations

from math import inf, nan

import pytest

from headrace.training.divergence import EXPLOSION, diverged


@pytest.mark.parametrize(
    ("first", "train", "validation", "expected"),
    [
        (2.3, 0.1, 0.2, False),
        (2.3, 200.0, 200.0, False),  # a jump that may come down again
        (2.3, nan, 0.2, True),
        (2.3, 0.1, nan, True),
        (2.3, inf, 0.2, True),
        (nan, None, nan, True),
        (2.3, None, 2.3, False),
        (2.3, 0.1, None, False),
        (2.3, 2.3 * EXPLOSION, 0.1, False),
        (2.3, 2.31 * EXPLOSION, 0.1, True),
        (2.3, 0.1, 2.31 * EXPLOSION, True),
        (1e-6, 1.0, 1.0, False),  # a small first loss does not make an ordinary one an explosion
        (1e-6, EXPLOSION + 1, 1.0, True),
        (-5.0, 4000.0, 0.0, False),
        (-5.0, 6000.0, 0.0, True),
    ],
)
def test_diverged(first: float, train: float | None, validation: float | None, expected: bool) -> None:
    assert diverged(first, train, validation) is expected
