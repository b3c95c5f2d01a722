"""What `headrace throughput` measured, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.analysis import words
from headrace.analysis.rounding import rounded
from headrace.analysis.step_time import StepTime, StepTimeModel, fit_model, median_interval

if TYPE_CHECKING:
    from headrace.store.throughput import Throughput


def step_times(measured: Throughput) -> tuple[StepTime, ...]:
    """The medians of what was timed, with their intervals."""
    found: list[StepTime] = []
    for timing in measured.timings:
        seconds, low, high = median_interval(timing.seconds_per_step)
        found.append(
            StepTime(
                optimizer=timing.optimizer,
                batch_size=timing.batch_size,
                workers=timing.workers,
                seconds=seconds,
                low=low,
                high=high,
            )
        )
    return tuple(found)


def exchanges(measured: Throughput) -> list[tuple[int, float]]:
    """(workers, median seconds) of exchanging the gradients alone."""
    return [(exchange.workers, float(np.median(exchange.seconds))) for exchange in measured.exchanges]


def throughput_summary(measured: Throughput) -> dict[str, Any]:
    """What `headrace throughput --json` prints: what is measured, the fitted models, and both in words."""
    times = step_times(measured)
    moved = exchanges(measured)
    names = list(dict.fromkeys(time.optimizer for time in times))
    models = {name: fit_model(times, moved, optimizer=name) for name in names}
    peaks = [timing.peak_bytes for timing in measured.timings]
    return {
        "format": 1,
        "workload": measured.workload,
        "device": measured.device,
        "machine": measured.machine,
        "parameters": measured.parameters,
        "measured": [
            rounded(vars(time)) | {"peak_bytes": peak} for time, peak in zip(times, peaks, strict=True)
        ],
        "models": {name: rounded(vars(model)) for name, model in models.items()},
        "rows": [_timing_row(time, peak) for time, peak in zip(times, peaks, strict=True)],
        "words": [_model_words(name, model, times) for name, model in models.items()],
    }


def _timing_row(time: StepTime, peak: int | None) -> list[object]:
    milliseconds = [1000 * value for value in (time.seconds, time.low, time.high)]
    rate = round(time.batch_size / time.seconds)
    memory = None if peak is None else round(peak / 2**20)
    return [time.optimizer, time.batch_size, time.workers, *rounded(milliseconds), rate, memory]


def _model_words(name: str, model: StepTimeModel, times: Sequence[StepTime]) -> str:
    sizes = [time.batch_size for time in times if time.optimizer == name]
    counts = sorted({time.workers for time in times if time.optimizer == name})
    alone = words.duration(model.seconds(sizes[0]))
    computed = (
        f"a step takes {words.duration(model.overhead)} and {words.duration(model.per_example)} per example"
        if model.sizes > 1
        else f"a step of this batch size takes {alone}, which does not show what a step of another takes"
    )
    exact = model.sizes <= 2 and model.error < 0.005
    error = "meets what was measured exactly" if exact else f"is off by at most {model.error:.0%}"
    workers = words.listed([str(count) for count in counts])
    return (
        f"{name}: on one worker {computed}. {_exchange_words(model, counts)} The model {error}. Measured: "
        f"batch sizes {min(sizes)} to {max(sizes)} on {workers} worker(s). Extrapolated: everything else."
    )


def _exchange_words(model: StepTimeModel, counts: Sequence[int]) -> str:
    if model.exchange is None:
        return "The exchange of gradients was not measured and is taken as free."
    said = f"Moving the gradients once takes {words.duration(model.exchange)}"
    if counts[-1] == 1:
        return f"{said}."
    if model.waiting:
        more = words.duration(model.waiting)
        return f"{said}, none of it is hidden, and a step of several workers takes {more} more."
    return f"{said}, of which {model.overlap:.0%} is hidden behind the computation."
