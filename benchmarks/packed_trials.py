"""What packing gains: trials a second of packs against the same trials one by one, by model and batch size.

A trial is trained and evaluated as in an experiment, to a fixed number of steps, by a worker's own code. What
was recorded of the stacked models is made beforehand: it is paid once per batch size. Times are CPU seconds
of one process, so that they mean something on a busy machine. The table that `pack = "auto"` goes by,
`headrace/trials/pack_table.json`, was made of the ratios that this prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch

from headrace.random import torch_generator
from headrace.specs.experiment import Experiment
from headrace.training.data import TensorData
from headrace.trials.packing import Packing
from headrace.trials.running import RunningTrial
from headrace.trials.setting import Setting
from headrace.workloads import Workload
from headrace.workloads.digits import digits_mlp
from headrace.workloads.models import mlp

DESCRIPTION = "trials a second as packs of K, against one by one, by model and batch size"

WIDTHS = (8, 16, 32)
SIZES = (8, 16, 32, 64, 128, 256)
TARGET = 2.0


def mnist_like(hidden: int) -> Workload:
    """Of the sizes of mnist-fc with one hidden layer, on noise: the time does not depend on the pictures."""

    def split(examples: int, name: str) -> TensorData:
        rng = torch_generator(0, "benchmark", name)
        inputs = torch.rand(examples, 1, 28, 28, generator=rng)
        return TensorData(inputs, torch.randint(0, 10, (examples,), generator=rng))

    return Workload(
        name="mnist-like",
        train=split(20_000, "train"),
        validation=split(5_000, "validation"),
        build_model=partial(mlp, (1, 28, 28), 10, hidden=(hidden,)),
        goal=0.001,
    )


MODELS: dict[str, Callable[[], Workload]] = {
    "digits-mlp": digits_mlp,
    "mnist-fc-32": partial(mnist_like, 32),
    "mnist-fc-100": partial(mnist_like, 100),
}


def experiment(batch_size: int, steps: int) -> Experiment:
    """One study whose trials end at their budget."""
    return Experiment.from_dict(
        {
            "workload": {"name": "digits-mlp", "goal": 0.0001},
            "grid": {"batch_size": [batch_size], "optimizer": ["nesterov"]},
            "search": {
                "trials": 64,
                "space": {
                    "learning_rate": {"low": 0.001, "high": 0.03, "scale": "log"},
                    "momentum": {"low": 0.5, "high": 0.95, "scale": "one-minus-log"},
                },
            },
            "training": {"budget": {"steps": steps}},
        }
    )


def run(
    models: Sequence[str] = ("digits-mlp", "mnist-fc-32"),
    batch_sizes: Sequence[int] = SIZES,
    widths: Sequence[int] = WIDTHS,
    steps: int = 200,
    rounds: int = 3,
) -> dict[str, Any]:
    """Train trials in both ways, in turns.

    Args:
        models: Names of `MODELS`.
        batch_sizes: The batch sizes.
        widths: How many trials are trained as one.
        steps: Of each trial.
        rounds: How often each is timed; the medians are compared.
    """
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name in models:
        workload = MODELS[name]()
        for batch_size in batch_sizes:
            setting = Setting(
                experiment=experiment(batch_size, steps),
                workload=workload,
                goal=-1.0,
                device=torch.device("cpu"),
            )
            times = _times(setting, widths, steps, rounds)
            rows += _rows(name, setting, times)
    best = [max(row["ratio"] for row in rows if _same(row, one)) for one in rows if one["batch_size"] <= 64]
    least = min(best, default=0.0)
    worst = min((row for row in rows if row["ratio"] == least), key=lambda row: row["batch_size"], default={})
    return {
        "ours": worst.get("packed", 0.0),
        "peer": worst.get("alone", 0.0),
        "ratio": least,
        "unit": "trials/s",
        "measured": f"trials of {steps} steps, packs of the best size, where B up to 64 gains least",
        "target": TARGET,
        "met": least >= TARGET,
        "table": rows,
    }


def _same(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return (row["model"], row["batch_size"]) == (other["model"], other["batch_size"])


def _times(setting: Setting, widths: Sequence[int], steps: int, rounds: int) -> dict[int, float]:
    """Seconds per trial, of trials one by one (1) and in packs."""
    packing, times = Packing(), {width: list[float]() for width in (1, *widths)}
    for width in widths:
        _seconds(setting, width, packing, 2)
    for _ in range(rounds):
        for width, seconds in times.items():
            seconds.append(_seconds(setting, width, packing, steps) / width)
    return {width: median(seconds) for width, seconds in times.items()}


def _rows(name: str, setting: Setting, times: Mapping[int, float]) -> list[dict[str, Any]]:
    (study,) = setting.experiment.studies()
    return [
        {
            "model": name,
            "parameters": sum(parameter.numel() for parameter in setting.new_model(study, 0).parameters()),
            "batch_size": study.configuration.batch_size,
            "pack": width,
            "alone": round(1 / times[1], 2),
            "packed": round(1 / seconds, 2),
            "ratio": round(times[1] / seconds, 2),
        }
        for width, seconds in times.items()
        if width > 1
    ]


def _seconds(setting: Setting, width: int, packing: Packing, until: int) -> float:
    """CPU seconds of as many trials as one pack has, trained to the first evaluation at or after a step."""
    (study,) = setting.experiment.studies()
    trials = [RunningTrial(setting=setting, study=study, trial=t, pack=width) for t in range(width)]
    start = time.process_time()
    if width == 1:
        trials[0].advance(until, lambda: until)
    else:
        packing.advance(trials, until, lambda: until)
    seconds = time.process_time() - start
    assert all(trial.record().error is None and trial.trained >= until for trial in trials)
    return seconds
