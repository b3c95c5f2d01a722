"""What a policy is predicted to save, from the gradient noise under its own sampling.

At a state of the model a step at batch size b makes 1 / (1 + tr(Sigma_p) / (|G|^2 b)) of the progress of a
step without noise (S = Smin (1 + B/b) [V], piece by piece). For the progress of one of the policy's steps
uniform sampling needs (|G|^2 + tr(Sigma)/b) / (|G|^2 + tr(Sigma_p)/b) steps. So along a trial

    predicted ratio = 1 / mean over its steps of (|G|^2 + tr(Sigma)/b) / (|G|^2 + tr(Sigma_p)/b)    [D]

which is 1 for uniform sampling at any b, and goes to 1 for any policy as b grows. Nothing is divided by
|G|^2, which may be zero for all that is known. It assumes that the fewest possible steps stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from headrace import random
from headrace.analysis.recommendation import central
from headrace.specs.studies import StudyKey
from headrace.store import noise_gain
from headrace.store.experiments import StoredExperiment
from headrace.store.noise_gain import GainCourse, GainPoint

DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The prediction for one study.

    Attributes:
        study: The study.
        ratio: Its steps over those of uniform sampling; below 1 the policy saves steps.
        interval: Its 95% interval, over the choice of the examples whose gradients were taken.
    """

    study: StudyKey
    ratio: float
    interval: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "optimizer": self.study.optimizer,
            **self.study.configuration.model_dump(),
            "ratio": self.ratio,
            "interval": [*self.interval],
        }


def predict(course: GainCourse, seed: int, *, level: float = 0.95) -> Predicted:
    """The prediction from one course.

    Args:
        course: From `headrace.trials.noise_gain.measure_gain`.
        seed: The experiment's.
        level: Of the interval.
    """
    rng = random.generator(seed, "noise gain", course.study.name, course.trial)
    steps = np.array([point.step for point in course.points], np.float64)
    size = course.study.configuration.batch_size
    drawn = np.stack([_drawn(point, rng) for point in course.points], axis=1)
    means = np.array([[[point.signal, point.noise, point.added] for point in course.points]])
    value = float(ratios(means, steps, size)[0])
    interval = central(ratios(drawn, steps, size), level, including=value)
    return Predicted(study=course.study, ratio=value, interval=interval)


def ratios(
    parts: Float[np.ndarray, "draws points 3"], steps: Float[np.ndarray, " points"], batch_size: float
) -> Float[np.ndarray, " draws"]:
    """The predicted ratio of steps, by the trapezoid rule over the steps.

    Args:
        parts: |G|^2, tr(Sigma), and tr(Sigma_p) - tr(Sigma); signals that are not positive count as zero.
        steps: Of the points.
        batch_size: Examples per step.
    """
    least = np.finfo(np.float64).tiny
    signal, noise = np.maximum(parts[..., 0], 0.0), np.maximum(parts[..., 1], least)
    own = np.maximum(parts[..., 1] + parts[..., 2], 1e-9 * noise)
    needed = (batch_size * signal + noise) / (batch_size * signal + own)
    if len(steps) == 1:
        return 1 / needed[:, 0]
    gaps = np.diff(steps)
    weights = (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / 2
    return weights.sum() / (needed @ weights)


def _drawn(point: GainPoint, rng: np.random.Generator) -> Float[np.ndarray, "draws 3"]:
    covariance = np.array(point.covariance).reshape(3, 3)
    return rng.multivariate_normal([point.signal, point.noise, point.added], covariance, DRAWS)


def stored_predictions(stored: StoredExperiment) -> tuple[Predicted, ...]:
    """The predictions from all courses that were measured of this experiment and are stored in its folder.

    Raises:
        DamagedError: The file was altered.
    """
    measured = noise_gain.read(stored.directory)
    if measured is None or measured.experiment != stored.experiment.digest()[:16]:
        return ()
    return tuple(predict(course, stored.experiment.seed) for course in measured.courses)
