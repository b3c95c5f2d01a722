"""Measuring step times for real, on a tiny workload; what is refused."""

from __future__ import annotations

import pytest

from headrace.errors import InputError
from headrace.experiments.throughput import BLOCKS, measure

pytestmark = pytest.mark.usefixtures("tiny")


def test_every_optimiser_and_batch_size_is_timed_once(experiment) -> None:
    lines: list[str] = []
    asked = experiment({"training.budget": {"epochs": 0.5}})
    found = measure(asked, seconds=1e-3, progress=lines.append)
    points = [(timing.optimizer, timing.batch_size) for timing in found.timings]
    assert points == [("sgd", 4), ("sgd", 16), ("nesterov", 4), ("nesterov", 16)]
    assert len(lines) == 4
    assert found.parameters == 8 * 8 + 8 + 8 * 2 + 2
    for timing in found.timings:
        assert len(timing.seconds_per_step) == BLOCKS[0]
        assert all(seconds > 0 for seconds in timing.seconds_per_step)
        assert timing.workers == 1


def test_a_pause_in_the_model_is_in_the_step_time(experiment) -> None:
    asked = experiment(
        {"workload.settings": {"pause": 0.004}, "grid": {"batch_size": [4]}, "search.space.momentum": None}
    )
    (timing,) = measure(asked, seconds=1e-3).timings
    assert min(timing.seconds_per_step) >= 0.004


def test_what_cannot_be_timed_is_refused(experiment) -> None:
    with pytest.raises(InputError, match="larger than the training set of 96 examples; got 97"):
        measure(experiment({"grid.batch_size": [4, 97]}))
    with pytest.raises(InputError, match="must be a positive number; got 0"):
        measure(experiment(), seconds=0)
