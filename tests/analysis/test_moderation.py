"""Caution in corners: the freedom of pairs, schedules without a common step, the end of Holm's list."""

from __future__ import annotations

import numpy as np
import pytest

from headrace import random
from headrace.analysis.correction import holm, holm_levels
from headrace.analysis.granularity import detect_granularity
from headrace.analysis.moderation import estimate_prior, paired


def test_pairs_with_one_baseline_have_no_more_freedom_than_its_seeds_allow():
    """Equal scatter in 200 groups is worth much, but all differences share the scatter of one baseline."""
    rng = random.generator(0, "one baseline")
    variances, sizes = rng.chisquare(4, 200) / 4, np.full(200, 5.0)
    assert estimate_prior(variances, sizes - 1).freedom > 50
    found = paired(np.zeros(200), variances, sizes)
    assert found.freedom.max() <= 4 * 4
    assert found.freedom.min() > 4


def test_a_schedule_without_a_common_step_is_as_coarse_as_its_smallest_gap():
    """Steps looked at every 5%: 517, 543, 570 are whole numbers, and no run can end at 518."""
    steps = {"a": {0: 517.0, 1: 543.0, 2: 517.0}, "b": {0: 570.0, 1: 517.0, 2: 599.0}}
    assert detect_granularity(steps) == 26
    apart = {"a": {0: 517.0, 1: 543.0}, "b": {0: 570.0, 1: 599.0}}
    assert detect_granularity(apart) == 1


def test_after_the_first_that_fails_all_are_tested_at_its_level():
    p_values = [0.001, 0.03, 0.024, 0.9]
    assert holm_levels(p_values, 0.06) == pytest.approx([0.06 / 4, 0.06 / 3, 0.06 / 3, 0.06 / 3])
    assert [p <= 0.06 for p in holm(p_values)] == [True, False, False, False]
