"""Timing the parts of a trial in a worker: making it, a step, an evaluation; and the memory they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from headrace.trials.feed import feed
from headrace.trials.running import begin
from headrace.trials.tasks import Gauged, Memory
from headrace.workloads.registry import describe

if TYPE_CHECKING:
    from torch import nn

    from headrace.specs.studies import StudyKey
    from headrace.training.loop import Measurement
    from headrace.trials.setting import Setting

MOST_STEPS = 1 << 14
"""More are not needed to time one."""
EVALUATIONS = 3
"""No more are timed."""


def gauged(setting: Setting, study: StudyKey, seconds: float) -> Gauged:
    """What the parts of a trial take; an error of the user's code becomes the result's."""
    begun = step = evaluation = 0.0
    error: str | None = None
    try:
        begun, step, evaluation = _times(setting, study, seconds)
    except (Exception, SystemExit) as raised:  # noqa: BLE001  (any error of the user's model, loss or data)
        error = describe(raised)
    return Gauged(
        study=study,
        begin_seconds=begun,
        step_seconds=step,
        evaluation_seconds=evaluation,
        memory=memory(setting.device),
        error=error,
    )


def _times(setting: Setting, study: StudyKey, seconds: float) -> tuple[float, float, float]:
    """Seconds of making a trial, of a step, and of an evaluation; what is done first is not timed."""
    _begun(setting, study)
    started = time.perf_counter()
    model, trained = _begun(setting, study)
    begun = time.perf_counter() - started
    step = _step_seconds(trained, seconds)
    splits = ("validation",) if setting.stops_at_goal else ("validation", "test")
    evaluate, averages = setting.evaluator(*splits), setting.experiment.training.ema_decay is not None
    return begun, step, _median_seconds(lambda: evaluate(model), seconds) * (2 if averages else 1)


def _begun(setting: Setting, study: StudyKey) -> tuple[nn.Module, Iterator[Measurement]]:
    """The first trial's training, before its first step; nothing is evaluated."""
    budget, values = setting.budget_steps(study), setting.experiment.hyperparameters(study, 0)
    fed = feed(setting, study, 0, values, budget)
    model = setting.new_model(study, 0)
    trained = begin(
        setting,
        study,
        0,
        fed,
        model,
        values=values,
        evaluation_steps=_doubling(min(budget, MOST_STEPS)),
        evaluate=lambda _: {},
        record=fed.record,
    )
    next(trained)
    return model, trained


def _doubling(last: int) -> list[int]:
    """0, 1, 2, 4, .. and the last."""
    return [0, *(1 << power for power in range(last.bit_length()) if 1 << power < last), last]


def _step_seconds(trained: Iterator[Measurement], seconds: float) -> float:
    """The mean of a step, until this time is over; the first two only if there are no others."""
    started = time.perf_counter()
    laps = [(0, 0.0)]
    for measurement in trained:
        laps.append((measurement.step, time.perf_counter() - started))
        if laps[-1][1] >= seconds:
            break
    (first, before), (last, after) = laps[2 if len(laps) > 3 else 0], laps[-1]
    return (after - before) / (last - first)


def _median_seconds(call: Callable[[], object], seconds: float) -> float:
    times: list[float] = []
    while len(times) < EVALUATIONS and sum(times) < seconds:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)


def memory(device: torch.device) -> Memory:
    """The most memory that this process took so far."""
    own = peak_of_process()
    if device.type != "cuda":
        return Memory(bytes=own)
    return Memory(
        bytes=own,
        device_bytes=int(torch.cuda.max_memory_reserved(device)),
        device_total=int(torch.cuda.get_device_properties(device).total_memory),
    )


def peak_of_process() -> int | None:
    """The most memory of this process that was its own, in bytes: without pages of files, such as libraries.

    None if the system does not report it.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)
                 if name in ("VmHWM", "RssFile")}  # fmt: skip
    return (kilobytes["VmHWM"] - kilobytes["RssFile"]) * 1024 if len(kilobytes) == 2 else None
