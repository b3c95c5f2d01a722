"""Measuring step times on this machine: the experiment's own workload, loop, optimizers and batch sizes.

One worker is timed in this process; several are timed as processes of their own, see `rank_timing`.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence

from headrace.errors import InputError
from headrace.specs.experiment import Experiment
from headrace.specs.studies import FULL, StudyKey
from headrace.store.facts import WorkloadFacts
from headrace.store.throughput import Exchange, Throughput, Timing
from headrace.trials.step_timing import timing


def machine_workers(device: str) -> tuple[int, ...]:
    """The numbers of workers that this machine can time: 1, 2, 4, .. and all its GPUs, or else its cores.

    Args:
        device: `training.device` of an experiment.
    """
    import torch

    from headrace.engines.processes import cores

    gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    most = torch.cuda.device_count() if gpu else 1 if device == "mps" else cores()
    return tuple(
        sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {max(most, 1)})
    )


def measure(
    experiment: Experiment,
    *,
    workers: Sequence[int] = (1,),
    seconds: float = 1.0,
    progress: Callable[[str], object] | None = None,
    expected: WorkloadFacts | None = None,
) -> Throughput:
    """Time the steps for every optimizer and batch size of the grid, on each number of workers.

    The steps are those of `headrace.training.loop.train` with shuffled batches, at a learning rate so small
    that the model stays as it is; evaluations are not timed. One worker is this process. Several are
    processes of their own, one per GPU or core, that share each batch and average their gradients by
    DistributedDataParallel; what this exchange takes alone is timed too.

    Args:
        experiment: What would be run.
        workers: The numbers of workers; 1 is always among them. A batch of fewer examples is left out.
        seconds: About how long to time each batch size on each number of workers.
        progress: Called with a line for each of the `points`, once it is timed.
        expected: The facts of a run for which it is measured; another workload is refused.

    Raises:
        InputError: The workload cannot be loaded or is not the expected one, a batch is larger than the
            training set, or the machine has not as many cores or GPUs.
        WorkerDied: A worker process died.
    """
    from headrace.engines.inline import InlinePlace
    from headrace.trials.bench import Bench

    if not (math.isfinite(seconds) and seconds > 0):
        raise InputError("must be a positive number", where="seconds", got=seconds)
    counts = _counts(experiment, workers)
    bench = Bench(experiment, InlinePlace())
    if expected is not None and expected.fingerprint is not None:
        # Another goal takes no other time.
        same = expected.fingerprint.model_copy(update={"goal": bench.fingerprint.goal})
        bench.expect(expected.model_copy(update={"fingerprint": same}), versions=False)
    setting = bench.on(FULL)
    _check_sizes(experiment, len(setting.workload.train))
    say = progress or (lambda _: None)
    timings: list[Timing] = []
    exchanges: list[Exchange] = []
    for study in points(experiment):
        timings.append(timing(setting, study, seconds))
        say(_named(study, 1))
    for count in counts[1:]:
        several, exchanged = _together(experiment, count, seconds, say)
        timings += several
        exchanges.append(exchanged)
    model = setting.new_model(experiment.studies()[0], 0)
    return Throughput(
        workload=experiment.workload.name,
        settings=experiment.workload.settings,
        device=str(setting.device),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        fingerprint=bench.fingerprint,
        timings=tuple(timings),
        exchanges=tuple(exchanges),
    )


def count_points(experiment: Experiment, workers: Sequence[int]) -> int:
    """How many lines `measure` will say."""
    return sum(len(points(experiment, count)) + (count > 1) for count in {1, *workers})


def points(experiment: Experiment, workers: int = 1) -> list[StudyKey]:
    """One study for each optimizer and each batch size that has an example for every worker."""
    found = {
        (study.optimizer, study.configuration.batch_size): study for study in reversed(experiment.studies())
    }
    return [study for (_, size), study in reversed(found.items()) if size >= workers]


def _named(study: StudyKey, workers: int) -> str:
    return f"{study.optimizer}, batch size {study.configuration.batch_size}, {workers} worker(s)"


def _counts(experiment: Experiment, workers: Sequence[int]) -> list[int]:
    """The numbers of workers in order, 1 first; raises for one that this machine cannot have."""
    counts = sorted({1, *workers})
    most = machine_workers(experiment.training.device)[-1]
    if counts[0] < 1 or counts[-1] > most:
        wrong = counts[0] if counts[0] < 1 else counts[-1]
        raise InputError(f"this machine can time from 1 to {most} workers", where="workers", got=wrong)
    return counts


def _check_sizes(experiment: Experiment, examples: int) -> None:
    largest = max(experiment.grid.batch_size)
    if largest > examples:
        raise InputError(
            f"a batch cannot be larger than the training set of {examples} examples",
            where="grid.batch_size",
            got=largest,
        )


def _together(
    experiment: Experiment, workers: int, seconds: float, say: Callable[[str], object]
) -> tuple[list[Timing], Exchange]:
    """Start this many workers, time every point and the exchange alone, and end them."""
    from headrace.engines._base import everywhere
    from headrace.engines.local import LocalEngine
    from headrace.trials.advance import MakeBench
    from headrace.trials.rank_timing import TimeExchange, TimeSteps, joined

    timings: list[Timing] = []
    with LocalEngine(workers).open(MakeBench.of(experiment)) as engine, joined(engine):
        for study in points(experiment, workers):
            timings.append(_slowest(everywhere(engine, TimeSteps(study=study, seconds=seconds))))
            say(_named(study, workers))
        times = everywhere(engine, TimeExchange(study=experiment.studies()[0], seconds=seconds))
        say(f"the exchange of gradients alone, {workers} workers")
    return timings, Exchange(workers=workers, seconds=tuple(max(block) for block in zip(*times, strict=True)))


def _slowest(ranks: Sequence[Timing]) -> Timing:
    """The ranks' times as one: of each block the slowest rank's, and the most memory of a rank."""
    blocks = zip(*(rank.seconds_per_step for rank in ranks), strict=True)
    peaks = [rank.peak_bytes for rank in ranks if rank.peak_bytes is not None]
    update = {"seconds_per_step": tuple(max(b) for b in blocks), "peak_bytes": max(peaks, default=None)}
    return ranks[0].model_copy(update=update)
