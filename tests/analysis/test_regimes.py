"""The two limits of a curve, against the rules written out by brute force."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.regimes import limits

points = st.dictionaries(st.integers(1, 4096), st.integers(1, 10_000), min_size=1, max_size=9)


def brute_perfect(table: dict[int, int], d: float) -> int:
    first = min(table)
    kept = [
        batch
        for batch in table
        if all(table[b] * b <= (1 + d) * table[first] * first for b in table if b <= batch)
    ]
    return max(kept)


def brute_useful(table: dict[int, int], d: float) -> int:
    return min(batch for batch in table if table[batch] <= (1 + d) * min(table.values()))


@given(points, st.sampled_from([0.0, 0.1, 0.2, 0.5]), st.randoms())
def test_the_rules_by_brute_force_in_any_order(table, d, shuffler):
    rows = list(table.items())
    shuffler.shuffle(rows)
    found = limits(*zip(*rows, strict=True), tolerance=d)
    assert found.perfect_scaling == brute_perfect(table, d)
    assert found.max_useful == brute_useful(table, d)
    assert found.perfect_scaling_is_largest_tested == (found.perfect_scaling == max(table))
    assert found.max_useful_is_largest_tested == (found.max_useful == max(table))


def test_by_hand():
    # Perfect from 8: 800, 400, 200, 100; 32 needs 240 = 1.2 x 200, just kept; 64 needs more than 120.
    found = limits([8, 16, 32, 64, 128], [800, 400, 240, 121, 120])
    assert (found.perfect_scaling, found.max_useful) == (32, 64)


def test_a_later_point_that_keeps_to_the_line_again_does_not_extend_perfect_scaling():
    found = limits([8, 16, 32], [800, 600, 200])
    assert found.perfect_scaling == 8


def test_perfect_scaling_to_the_end_is_only_a_lower_limit():
    found = limits([8, 16, 32], [800, 400, 200])
    assert found.perfect_scaling_is_largest_tested
    assert found.max_useful_is_largest_tested


def test_a_flat_curve_has_its_smallest_batch_as_the_largest_useful_one():
    found = limits([8, 16, 32], [100, 100, 100])
    assert (found.perfect_scaling, found.max_useful) == (8, 8)
