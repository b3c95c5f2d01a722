"""The calibration's own machinery, and a fast part of it: what is claimed holds in simulated worlds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def benchmarks_on_the_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def test_a_row_holds_within_two_monte_carlo_errors():
    from benchmarks.calibration._claims import Row, share, table

    found, error = share(np.array([True] * 10 + [False] * 90))
    assert found == 0.1
    assert 0.02 < error < 0.04
    rows = [
        Row(claim="c", world="w", found=0.1, error=0.03, most=most, least=least)
        for least, most in ((None, 0.05), (None, 0.03), (0.15, None), (0.2, None), (0.05, 0.2))
    ]
    assert [row.holds for row in rows] == [True, False, True, False, True]
    assert "**0.100 ± 0.030**" in table(rows)


def test_every_world_has_equal_means_and_the_scatter_it_says():
    from benchmarks.calibration.comparisons import WORLDS, draw

    rng = np.random.default_rng(0)
    for world in WORLDS:
        values = draw(rng, world, (4000, 4, 30))
        assert np.abs(values.mean(axis=(0, 2))).max() < 0.03
        assert np.median(values[:, 1].std(axis=1)) == pytest.approx(0.95, abs=0.13)


def test_simulated_searches_stop_at_the_fourth_and_are_never_below_the_fewest_steps():
    from benchmarks.calibration.searches import RANK, World, search

    world = World(sigma=1e-9)
    drawn = search(np.random.default_rng(0), world, 20)
    assert ((~drawn.censored).sum(axis=2) >= RANK).all()
    ratio = drawn.fewest / world.tuned
    assert ratio.min() >= 1
    # A grid step of 0.58 in log rate, a slope of 0.75, and the rounding up to the next evaluation.
    assert ratio.max() < np.exp(0.58 * 0.75) * 1.06
    assert search(np.random.default_rng(0), World(), 20).fewest.mean() < drawn.fewest.mean()


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["fit", "critical", "surface"])
def test_what_is_claimed_of_curves_holds(claim):
    """Few repetitions: only what is far from what is asked is seen."""
    from benchmarks.calibration import run

    found = run(only=claim, repeats=25)
    lost = [row for row in found["rows"] if not row["holds"]]
    assert len(lost) <= 0.15 * len(found["rows"]), lost


@pytest.mark.slow
def test_what_is_claimed_holds():
    from benchmarks.calibration import run

    found = run(only="compare", repeats=150)
    lost = [row for row in found["rows"] if not row["holds"]]
    # The one setting of which docs/statistics.md says that it does not keep to 5%.
    known = "3 seeds against 30; a third scatters x3"
    assert [row["world"] for row in lost if known not in row["world"]] == []
