"""Step times: the model's closed forms, the median's interval, what is extrapolated."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.analysis.step_time import StepTime, at, fit_model, from_records, median_interval, ring
from headrace.errors import InputError
from headrace.random import generator
from headrace.store.records import TrialRecord


def timed(batch_size: int, seconds: float, workers: int = 1, optimizer: str = "sgd") -> StepTime:
    return StepTime(
        optimizer=optimizer,
        batch_size=batch_size,
        workers=workers,
        seconds=seconds,
        low=seconds * 0.9,
        high=seconds * 1.1,
    )


def test_the_median_has_the_interval_of_order_statistics() -> None:
    assert median_interval([3.0]) == (3.0, 3.0, 3.0)
    assert median_interval([5, 1, 2, 4, 3]) == (3.0, 1, 5)
    for n in (1_023, 1_024, 1_030, 40_001):
        _, low, high = median_interval(list(range(n)))
        assert low + high == n - 1
        assert high - low == pytest.approx(2 * 1.96 * n**0.5 / 2, abs=2)
    # 2 P(Binomial(9, 1/2) < 2) = 0.039, and with 3 it is 0.18: the second and the eighth.
    assert median_interval([9, 8, 7, 6, 5, 4, 3, 2, 1]) == (5.0, 2, 8)
    rng, hits = generator(0, "median"), 0
    for values in rng.exponential(size=(1000, 15)):
        _, low, high = median_interval(values.tolist())
        hits += low <= np.log(2) <= high
    assert 0.95 - 0.02 < hits / 1000 < 0.99


def test_the_compute_line_is_found_over_three_decades() -> None:
    times = [timed(b, 2e-4 + 3e-6 * b) for b in (1, 16, 256, 4096)]
    model = fit_model([*times, timed(64, 9.0, optimizer="adamw")], optimizer="sgd")
    assert model.overhead == pytest.approx(2e-4)
    assert model.per_example == pytest.approx(3e-6)
    assert model.error == pytest.approx(0, abs=1e-9)
    assert model.exchange is None
    # Four workers compute a quarter each, and their exchange is free.
    assert model.seconds(4096, 4) == pytest.approx(2e-4 + 3e-6 * 1024)
    assert model.seconds(5, 4) == pytest.approx(2e-4 + 3e-6 * 2)


def test_neither_part_is_negative_and_one_batch_size_goes_per_example() -> None:
    model = fit_model([timed(b, 1e-6 * b**1.2) for b in (8, 64, 512)], optimizer="sgd")
    assert model.overhead == 0
    assert 0 < model.error < 1
    assert fit_model([timed(8, 2e-3)], optimizer="sgd").per_example == pytest.approx(2.5e-4)
    with pytest.raises(InputError, match="no step time of one worker was measured"):
        fit_model([timed(8, 2e-3, workers=2)], optimizer="sgd")


def test_exchange_and_overlap_from_what_several_workers_take() -> None:
    line = [timed(b, 1e-3 + 1e-5 * b) for b in (32, 64, 128, 256)]
    # Moving the gradients once takes 4 ms; a quarter of it is hidden.
    shared = [timed(b, 1e-3 + 1e-5 * b / w + 0.75 * 4e-3 * ring(w), w) for b in (128, 256) for w in (2, 4)]
    model = fit_model([*line, *shared], [(2, 4e-3 * 1.0), (4, 4e-3 * 1.5)], optimizer="sgd")
    assert model.exchange == pytest.approx(4e-3)
    assert model.overlap == pytest.approx(0.25)
    assert model.seconds(512, 8) == pytest.approx(1e-3 + 1e-5 * 64 + 0.75 * 4e-3 * 1.75)
    assert fit_model(line, [(2, 4e-3)], optimizer="sgd").overlap == 0


def test_what_several_workers_take_beyond_the_exchange_is_waiting() -> None:
    line = [timed(b, 1e-3 + 1e-5 * b) for b in (32, 64, 128, 256)]
    shared = [timed(b, 1e-3 + 1e-5 * b / w + 4e-3 * ring(w) + 2e-3, w) for b in (128, 256) for w in (2, 4)]
    model = fit_model([*line, *shared], [(2, 4e-3)], optimizer="sgd")
    assert (model.overlap, model.waiting) == (0, pytest.approx(2e-3))
    assert model.error == pytest.approx(0, abs=1e-9)
    assert model.seconds(512, 1) == pytest.approx(1e-3 + 1e-5 * 512)


def test_what_was_measured_stays_and_the_rest_is_the_model_give_or_take_its_error() -> None:
    times = [timed(10, 1.0), timed(20, 2.2), timed(40, 4.0)]
    model = fit_model(times, optimizer="sgd")
    assert at(times, model, "sgd", 20, 1) is times[1]
    found = at(times, model, "sgd", 30, 1)
    assert not found.measured
    assert found.seconds == model.seconds(30)
    assert found.high / found.seconds == pytest.approx(1 + model.error)
    assert found.seconds / found.low == pytest.approx(1 + model.error)


def record(trial: int, trained: int, seconds: float, *, failed: bool = False) -> TrialRecord:
    return TrialRecord(
        trial=trial, trained=trained, seconds=seconds, failed=failed, study="s", hyperparameters={},
        examples_forwarded=0, examples_backpropagated=0,
    )  # fmt: skip


def test_trials_carry_step_times() -> None:
    records = [record(0, 10, 1.0), record(1, 10, 3.0), record(2, 20, 4.0), record(3, 0, 5.0)]
    records += [record(4, 10, 99.0, failed=True), record(5, 10, 0.0)]
    found = from_records(records, optimizer="sgd", batch_size=8, workers=1)
    assert found is not None
    assert (found.seconds, found.low, found.high) == (0.2, 0.1, 0.3)
    assert from_records(records[3:], optimizer="sgd", batch_size=8, workers=1) is None
