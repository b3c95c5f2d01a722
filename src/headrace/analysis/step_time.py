"""How long a step takes: what was measured, and the model that carries it to what was not.

The model: t(B, W) = a + b ceil(B/W), and for several workers (1 - o) x 2 (W-1)/W + w more. A worker computes
its share of the batch in a fixed time and a time per example; a ring exchange of the gradients moves
2 (W-1)/W of them past every worker, x seconds for each time the whole gradient would move; the share o of it
is hidden behind the computation [M]; w is what steps of several workers take beyond all that, waiting for
the slowest among it. Of o and w one is 0: they are what is left of a measured step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from headrace.errors import InputError
from headrace.store.records import TrialRecord


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """The seconds of one step.

    Attributes:
        optimizer: The optimizer.
        batch_size: Examples per step, over all workers.
        workers: How many workers share the batch.
        seconds: The median.
        low: The lower end of its 95% interval.
        high: The upper end.
        measured: Whether it was measured; otherwise the model says so.
    """

    optimizer: str
    batch_size: int
    workers: int
    seconds: float
    low: float
    high: float
    measured: bool = True


@dataclass(frozen=True, kw_only=True)
class StepTimeModel:
    """The model of the seconds of a step, fitted.

    Attributes:
        overhead: a, seconds of a step of any size.
        per_example: b, seconds for each example of a worker.
        exchange: x, seconds to move the whole gradient once; None where it was not measured, and taken as 0.
        overlap: o, the share of the exchange that is hidden.
        waiting: w, seconds that steps of several workers take beyond computation and exchange.
        sizes: How many batch sizes a and b rest on: one cannot separate them, two are met exactly.
        error: The largest relative difference between the model and what was measured.
        points: How many measurements it rests on.
    """

    overhead: float
    per_example: float
    exchange: float | None
    overlap: float
    error: float
    points: int
    waiting: float = 0.0
    sizes: int = 0

    def seconds(self, batch_size: int, workers: int = 1) -> float:
        """The seconds of a step by the model."""
        compute = self.overhead + self.per_example * math.ceil(batch_size / workers)
        if workers == 1:
            return compute
        return compute + (1 - self.overlap) * (self.exchange or 0.0) * ring(workers) + self.waiting


def ring(workers: int) -> float:
    """How often the whole gradient passes a worker in a ring exchange: 2 (W-1)/W."""
    return 2 * (workers - 1) / workers


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """The median and an interval that covers that of the population, for any distribution.

    Sorted v(1) <= .. <= v(n), the median lies within [v(j), v(n+1-j)] with probability
    1 - 2 P(Binomial(n, 1/2) < j); j is the largest with at least `level`. Fewer than six values do not
    suffice for 95%: then it is their range.

    Args:
        values: At least one.
        level: The level.
    """
    ordered, n = sorted(values), len(values)
    # Integers, since 2^n is beyond a float from n = 1,024 on; `ways` is C(n, rank).
    below, ways, rank, most = 0, 1, 0, Fraction(1 - level) * 2**n
    while rank < n // 2 and 2 * (below := below + ways) <= most:
        ways = ways * (n - rank) // (rank + 1)
        rank += 1
    place = max(rank - 1, 0)
    return float(np.median(ordered)), ordered[place], ordered[n - 1 - place]


def fit_model(
    times: Sequence[StepTime], exchanges: Iterable[tuple[int, float]] = (), *, optimizer: str
) -> StepTimeModel:
    """Fit the model to the measured steps of one optimizer.

    a and b, neither negative, by least squares of the relative errors, from the steps of one worker. x is the
    median over `exchanges`; o and w are what the steps of several workers take less, or more, than the sum.

    Args:
        times: What was measured; other optimizers' steps are left out.
        exchanges: (workers, seconds) of exchanging the gradients alone.
        optimizer: The optimizer.

    Raises:
        InputError: No step of one worker was measured.
    """
    own = [time for time in times if time.optimizer == optimizer and time.measured]
    single = [time for time in own if time.workers == 1]
    if not single:
        raise InputError("no step time of one worker was measured", where="step times", got=optimizer)
    overhead, per_example = _line(single)
    moved = [seconds / ring(workers) for workers, seconds in exchanges if workers > 1]
    model = StepTimeModel(
        overhead=overhead,
        per_example=per_example,
        exchange=float(np.median(moved)) if moved else None,
        overlap=0.0,
        error=0.0,
        points=len(own),
    )
    model = replace(model, **_together(model, own))
    off = max(abs(model.seconds(t.batch_size, t.workers) / t.seconds - 1) for t in own)
    return replace(model, error=off, sizes=len({time.batch_size for time in single}))


def _line(single: Sequence[StepTime]) -> tuple[float, float]:
    """A and b, neither negative; of one batch size alone all is taken to be per example."""
    from scipy.optimize import nnls

    if len({time.batch_size for time in single}) == 1:
        return 0.0, float(np.median([time.seconds / time.batch_size for time in single]))
    rows = np.array([[1 / time.seconds, time.batch_size / time.seconds] for time in single])
    # Columns of one size: a second column a million times the first would be all that is fitted.
    scale = np.linalg.norm(rows, axis=0)
    solution, _ = nnls(rows / scale, np.ones(len(rows)))
    return float(solution[0] / scale[0]), float(solution[1] / scale[1])


def _together(model: StepTimeModel, times: Sequence[StepTime]) -> dict[str, float]:
    """The overlap and the waiting, medians over the measured steps of several workers."""
    several = [time for time in times if time.workers > 1]
    if not several:
        return {}
    beyond = [time.seconds - model.seconds(time.batch_size, time.workers) for time in several]
    moved = [(model.exchange or 0.0) * ring(time.workers) for time in several]
    if not model.exchange or np.median(beyond) > 0:
        return {"waiting": max(float(np.median(beyond)), 0.0)}
    hidden = [-more / whole for more, whole in zip(beyond, moved, strict=True)]
    return {"overlap": float(np.clip(np.median(hidden), 0.0, 1.0))}


def at(
    times: Sequence[StepTime], model: StepTimeModel, optimizer: str, batch_size: int, workers: int
) -> StepTime:
    """The step time there: as it was measured, otherwise by the model, give or take its largest error."""
    asked = (optimizer, batch_size, workers)
    for time in times:
        if (time.optimizer, time.batch_size, time.workers) == asked:
            return time
    seconds = model.seconds(batch_size, workers)
    return StepTime(
        optimizer=optimizer,
        batch_size=batch_size,
        workers=workers,
        seconds=seconds,
        low=seconds / (1 + model.error),
        high=seconds * (1 + model.error),
        measured=False,
    )


def from_records(
    records: Iterable[TrialRecord], *, optimizer: str, batch_size: int, workers: int
) -> StepTime | None:
    """Seconds per trained step of a study's trials, evaluations and all; None where none were recorded."""
    rates = [
        record.seconds / record.trained
        for record in records
        if record.trained and record.seconds > 0 and not record.failed
    ]
    if not rates:
        return None
    seconds, low, high = median_interval(rates)
    return StepTime(
        optimizer=optimizer, batch_size=batch_size, workers=workers, seconds=seconds, low=low, high=high
    )
