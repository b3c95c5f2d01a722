"""Measuring step times for real, on a tiny workload; what is refused."""

from __future__ import annotations

import time

import pytest

from headrace.analysis.throughput import throughput_summary
from headrace.errors import InputError
from headrace.experiments.engines.local import LocalEngine
from headrace.experiments.engines.processes import cores
from headrace.experiments.throughput import BLOCKS, count_points, measure

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


@pytest.mark.skipif(cores() < 2, reason="two workers need two cores")
def test_two_real_workers_share_each_batch_and_exchange_gradients(experiment) -> None:
    lines: list[str] = []
    asked = experiment(
        {
            "workload.settings": {"pause": 0.01},
            "grid": {"batch_size": [1, 6]},
            "search.space.momentum": None,
        }
    )
    found = measure(asked, workers=[2], seconds=1e-3, progress=lines.append)
    assert len(lines) == count_points(asked, [2]) == 4
    # A batch of one example has none for the second worker.
    assert [(t.batch_size, t.workers) for t in found.timings] == [(1, 1), (6, 1), (6, 2)]
    assert min(found.timings[-1].seconds_per_step) >= 0.01
    (exchange,) = found.exchanges
    assert exchange.workers == 2
    assert len(exchange.seconds) >= BLOCKS[0]
    assert min(exchange.seconds) > 0
    summary = throughput_summary(found)
    assert "Moving the gradients once takes" in summary["words"][0]
    assert "on 1 and 2 worker(s)" in summary["words"][0]


def test_an_error_in_a_worker_is_told_and_ends_the_others(experiment) -> None:
    asked = experiment({"training.device": "cpu"})
    with pytest.raises(InputError, match="stop here"), LocalEngine(asked, 2) as engine:
        engine.together(one_stops_the_other_waits)


def one_stops_the_other_waits(setting: object, rank: int, workers: int) -> None:
    if rank == 1:
        raise InputError("stop here")
    time.sleep(600)


def test_what_cannot_be_timed_is_refused(experiment) -> None:
    with pytest.raises(InputError, match="this machine can time from 1 to"):
        measure(experiment(), workers=[cores() + 1])
    with pytest.raises(InputError, match="larger than the training set of 96 examples; got 97"):
        measure(experiment({"grid.batch_size": [4, 97]}))
    with pytest.raises(InputError, match="must be a positive number; got 0"):
        measure(experiment(), seconds=0)
