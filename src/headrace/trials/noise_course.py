"""The gradient noise scale over the course of a trial: trained again, and measured at some of its steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import InputError
from headrace.specs.studies import StudyKey
from headrace.store.noise_course import MatchedScale, NoiseCourse, NoisePoint

if TYPE_CHECKING:
    from torch import Tensor, nn

    from headrace.training.losses import Loss
    from headrace.trials.setting import Setting


def measure_course(
    setting: Setting,
    study: StudyKey,
    trial: int,
    until: int,
    *,
    points: int = 12,
    examples: int = 1024,
    matched: bool = False,
    progress: Callable[[str], object] | None = None,
) -> NoiseCourse:
    """Train a trial again as it was, up to `until`, and measure the noise scale at `points` of its steps.

    The steps are evaluated ones, denser at the beginning. Each measurement is of per-example gradients in
    evaluation mode, of examples drawn afresh for it; the trial itself is not touched by it.

    Args:
        setting: The workload and the device, as trials have it.
        study: The trial's study.
        trial: The trial's index.
        until: The last step.
        points: At how many steps; fewer where the trial is shorter.
        examples: From how many examples; at most those there are.
        matched: Whether noise scales in the norms of optimizers are measured too, of the same examples.
        progress: Called with a line for each point.

    Raises:
        InputError: The trial raised an error.
    """
    from headrace import random
    from headrace.training.per_example import per_example_pairs
    from headrace.trials.running import RunningTrial

    models: list[nn.Module] = []
    build = setting.workload.build_model

    def kept() -> nn.Module:
        models.append(build())
        return models[-1]

    setting = replace(setting, workload=replace(setting.workload, build_model=kept))
    data = setting.workload.train
    examples = min(examples, len(data))
    running = RunningTrial(setting=setting, study=study, trial=trial)
    budget = setting.budget_steps(study)
    found: list[NoisePoint] = []
    for step in chosen_steps(setting.experiment.evaluation_steps(budget), until, points):
        running.advance(step, lambda: budget)
        if (error := running.record().error) is not None:
            raise InputError(f"raised {error}", where=f"{study.name}, trial {trial}")
        if running.trained != step:
            break
        rng = random.generator(setting.experiment.seed, "noise scale", study.name, trial, step)
        drawn = rng.choice(len(data), examples, replace=False)
        some, loss = fetched(setting, drawn), setting.workload.training_loss
        scales = _matched(models[-1], some, loss, study.configuration.batch_size) if matched else ()
        found.append(_point(step, *per_example_pairs(models[-1], *some, loss), scales))
        if progress is not None:
            progress(f"{study.name}, step {step}")
    return NoiseCourse(study=study, trial=trial, examples=examples, points=tuple(found))


def fetched(setting: Setting, drawn: np.ndarray) -> tuple[Any, Tensor]:
    """Training examples as they are evaluated, and their targets."""
    import torch

    from headrace.random import torch_stream

    with torch_stream(setting.experiment.seed, "noise scale", "examples"):
        return setting.workload.evaluation_data("train").fetch(torch.as_tensor(drawn))


def _matched(
    model: nn.Module, some: tuple[Any, Tensor], loss: Loss, batch_size: int
) -> tuple[MatchedScale, ...]:
    """The noise scales in the norms of optimizers; Adam's second moments settle at this batch size."""
    from headrace.training.matched_noise import matched_noise

    return tuple(
        MatchedScale(
            norm=one.norm,
            noise_scale=_finite(one.noise_scale),
            low=one.interval[0],
            high=_finite(one.interval[1]),
        )
        for one in matched_noise(model, *some, loss, batch_size=batch_size).values()
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _point(step: int, signal: np.ndarray, noise: np.ndarray, matched: tuple[MatchedScale, ...]) -> NoisePoint:
    """The means of the jackknife's pseudo-values, and the covariance of these means."""
    covariance = np.cov(np.stack([signal, noise])) / len(signal)
    return NoisePoint(
        step=step,
        signal=float(signal.mean()),
        noise=float(noise.mean()),
        covariance=(float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
        matched=matched,
    )


def chosen_steps(evaluated: Sequence[int], until: int, points: int) -> list[int]:
    """About `points` evaluated steps up to `until`, first and last among them, denser at the beginning."""
    within = [step for step in evaluated if step <= until]
    wanted = [within[-1] * (place / max(points - 1, 1)) ** 2 for place in range(points)]
    nearest = [min(within, key=lambda step, at=at: abs(step - at)) for at in wanted]
    return sorted({within[0], *nearest, within[-1]})
