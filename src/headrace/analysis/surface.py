r"""The tuned optimum of a whole curve: a censored response surface over batch size and hyperparameters.

S(B), the fewest of N runs, mixes two opposite errors: no trial hit the best learning rate, and one was lucky.
All trials of a curve together distinguish them. `_surface_model` has the model: a curve over batch size, a
valley over the learning rate whose bottom moves with the batch size and with the other hyperparameters, a
bowl over each of those. Weak normal priors hold what the trials do not show. Trials that were stopped before
the goal are right-censored. Maximum a posteriori by L-BFGS with the analytic gradient. Trials that diverged
are left out: where on the cliff they fell depends on the tolerance for it [D].

Two questions are answered apart. What a tuned run takes: steps at the best setting, the median over seeds.
What the next run takes: the mean over seeds, exp(sigma^2/2) above the median, at a setting that can be named,
which misses the best one by what the trials do not show.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
from jaxtyping import Bool, Float

from headrace.analysis import _surface_model as model
from headrace.analysis._posterior import Posterior, Theta

Trials = Float[np.ndarray, " trials"]
Censored = Bool[np.ndarray, " trials"]

LEAST_REACHED, MORE_FOR_EACH_OTHER = 12, 6
"""Fewer trials that reached the goal do not determine a surface; with other hyperparameters than the rate."""
STEPS_ERROR, RATE_ERROR = 0.05, 0.1
"""How far, in logs, a workload's steps and best rates lie off any such surface [D]."""
_SETTLING = 400
SLOPES = math.log(0.02), math.log(100)
_OFFSETS = np.linspace(-1.2, 0.0, 25)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The parameters of a surface, as far as the trials determine them.

    Attributes:
        theta: The most probable ones, as in `_surface_model`.
        covariance: Of those.
        freedom: Degrees of freedom of their t intervals.
        log_sizes: The different log B, rising.
        mean_log_batch: The mean of log B, to which the parameters refer.
        mean_others: The mean logarithm of each other hyperparameter.
        rates: The least and greatest log rate that was tried.
        others: The least and greatest logarithm of each other hyperparameter, less its mean.
    """

    theta: Theta
    covariance: np.ndarray
    freedom: float
    log_sizes: np.ndarray
    mean_log_batch: float
    mean_others: np.ndarray
    rates: tuple[float, float]
    others: np.ndarray

    @property
    def steps_error(self) -> float:
        """How far a workload's log steps lie off: half as much more for each other hyperparameter."""
        return STEPS_ERROR * (1 + self.others.shape[1] / 2)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What fresh runs take, at each batch size.

    Attributes:
        learning_rates: The learning rate that is recommended: the least expected log steps.
        others: The natural logarithms of the other hyperparameters that are recommended, [sizes others].
        steps: The expected steps of a run there; the mean over seeds.
        draws: Values that it might have, [draws sizes].
    """

    learning_rates: np.ndarray
    others: np.ndarray
    steps: np.ndarray
    draws: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The fitted surface of one curve.

    Attributes:
        batch_sizes: The different ones, rising.
        steps: Of a run at the best hyperparameters, the median over seeds, at each batch size.
        intervals: Of those steps.
        learning_rates: The best learning rate at each batch size.
        critical_batch_size: Where twice the fewest steps are needed, by the law.
        steps_min: The fewest steps that any batch size needs, by the law.
        scatter: The standard deviation of log steps between seeds, in the middle of the batch sizes.
        reached: How many trials reached the goal.
        level: Of the intervals.
        fitted: The parameters.
        critical_ends: Finds the logs of `critical_interval`, which takes longer than the fit.
    """

    batch_sizes: tuple[float, ...]
    steps: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    learning_rates: tuple[float, ...]
    critical_batch_size: float
    steps_min: float
    scatter: float
    reached: int
    level: float
    fitted: Fitted = field(repr=False, compare=False)
    critical_ends: Callable[[], tuple[float, float]] = field(repr=False, compare=False)

    @cached_property
    def critical_interval(self) -> tuple[float, float]:
        """The profile interval of the critical batch size, open at 0 or infinity."""
        low, high = self.critical_ends()
        return math.exp(low), math.exp(high) if math.isfinite(high) else math.inf

    def expected(self, draws: int, rng: np.random.Generator) -> Expected:
        """What a fresh run takes at the setting of each batch size that can be recommended.

        Args:
            draws: How many.
            rng: Where they are drawn from.
        """
        fitted = self.fitted
        theta = drawn(fitted, draws, rng)
        errors = rng.standard_normal((len(self.batch_sizes), 2, draws))
        found = [_at(fitted, theta, index, error) for index, error in enumerate(errors)]
        logs = np.stack([log_steps for _, _, log_steps in found], axis=1)
        return Expected(
            learning_rates=np.exp([rate for rate, _, _ in found]),
            others=np.array([others for _, others, _ in found]) + fitted.mean_others,
            steps=np.exp(np.median(logs, axis=0)),
            draws=np.exp(logs),
        )


def fit_surface(
    batch_sizes: Trials,
    learning_rates: Trials,
    log_steps: Trials,
    censored: Censored,
    *,
    others: Float[np.ndarray, "trials others"] | None = None,
    couplings: Sequence[float] = (),
    level: float = 0.95,
) -> Surface | None:
    """Fit the surface to all trials of one curve that neither diverged nor failed.

    Args:
        batch_sizes: Examples per step of each trial.
        learning_rates: Its learning rate.
        log_steps: The logarithm of its steps to the goal, or of those after which it was stopped.
        censored: Whether it was stopped before it reached the goal.
        others: The logarithms of its other hyperparameters (of 1 - momentum).
        couplings: How the best learning rate is thought to move with each: lr / (1 - momentum) stays if it is
            -1 for 1 - momentum.
        level: Of the intervals.

    Returns:
        The surface; None if fewer than `LEAST_REACHED` trials (`MORE_FOR_EACH_OTHER` for each other
        hyperparameter), or those of fewer than three batch sizes, reached the goal.
    """
    from scipy.special import stdtrit

    reached, more = int((~censored).sum()), len(couplings)
    if reached < LEAST_REACHED + MORE_FOR_EACH_OTHER * more or len(np.unique(batch_sizes[~censored])) < 3:
        return None
    logs = np.zeros((len(batch_sizes), 0)) if others is None else others
    data = model.Data(
        log_batch=np.log(batch_sizes),
        log_rate=np.log(learning_rates),
        others=logs - logs.mean(axis=0),
        couplings=tuple(couplings),
        log_steps=log_steps,
        censored=censored,
    )
    posterior = Posterior(model.loss_of(data), model.bounds(data))
    law = posterior.fixed(model.SHAPE, 0.0)
    by_law, least = law.mode(model.start(data))
    # No more digits of an optimum found by descent are the same on every machine.
    best = posterior.mode(by_law)[0].round(4)
    freedom = max(reached - 8 - 3 * more, 3)
    fitted = _fitted(data, logs.mean(axis=0), best, posterior.covariance(best), freedom)
    t = float(stdtrit(fitted.freedom, (1 + level) / 2))
    sizes = np.unique(batch_sizes)
    log_tuned, rows = along(fitted)
    half = t * np.sqrt(np.einsum("bi,ij,bj->b", rows, fitted.covariance, rows) + fitted.steps_error**2)
    return Surface(
        batch_sizes=tuple(sizes.tolist()),
        steps=tuple(np.exp(log_tuned).tolist()),
        intervals=tuple(
            zip(np.exp(log_tuned - half).tolist(), np.exp(log_tuned + half).tolist(), strict=True)
        ),
        learning_rates=tuple(math.exp(best_setting(fitted, index)[0]) for index in range(len(sizes))),
        critical_batch_size=math.exp(by_law[1]),
        steps_min=math.exp(by_law[0]),
        scatter=math.exp(best[9]),
        reached=reached,
        level=level,
        fitted=fitted,
        critical_ends=partial(_critical_ends, law, by_law, least + t**2 / 2),
    )


def _critical_ends(law: Posterior, by_law: Theta, threshold: float) -> tuple[float, float]:
    """Where the loss passes a threshold, on both sides of the log critical batch size."""
    error = min(math.sqrt(max(law.covariance(by_law)[1, 1], 1e-6)), 2.0)
    return law.end(1, by_law, threshold, -error), law.end(1, by_law, threshold, error)


def ratio_of(
    first: Surface, second: Surface, batch_sizes: Sequence[float]
) -> tuple[float, tuple[float, float]]:
    """Tuned steps of the first over those of the second, and its interval; the mean over sizes, in logs.

    Args:
        first: One surface.
        second: Another, of other trials.
        batch_sizes: Among those of both.
    """
    return _ratio(first, second, dict.fromkeys(batch_sizes, 1 / len(batch_sizes)))


def ratio_change(
    first: Surface, second: Surface, smallest: float, largest: float
) -> tuple[float, tuple[float, float]]:
    """The ratio of tuned steps at the largest batch size over that at the smallest, and its interval.

    Args:
        first: One surface.
        second: Another, of other trials.
        smallest: Among the batch sizes of both.
        largest: Likewise, another one.
    """
    return _ratio(first, second, {smallest: -1.0, largest: 1.0})


def _ratio(
    first: Surface, second: Surface, weights: Mapping[float, float]
) -> tuple[float, tuple[float, float]]:
    """The exponential of a weighted sum of log ratios over batch sizes."""
    from scipy.special import stdtrit

    (mine, mine_error), (theirs, error) = (_weighted(one, weights) for one in (first, second))
    freedom = min(first.fitted.freedom, second.fitted.freedom)
    half = float(stdtrit(freedom, (1 + first.level) / 2)) * math.hypot(mine_error, error)
    value = mine - theirs
    return math.exp(value), (math.exp(value - half), math.exp(value + half))


def _weighted(surface: Surface, weights: Mapping[float, float]) -> tuple[float, float]:
    """A weighted sum of log tuned steps over batch sizes, and its standard error."""
    log_steps, rows = along(surface.fitted)
    places = [surface.batch_sizes.index(size) for size in weights]
    shares = np.array([*weights.values()])
    row = shares @ rows[places]
    errors = surface.fitted.steps_error**2 * float(shares @ shares)
    variance = float(row @ surface.fitted.covariance @ row) + errors
    return float(shares @ log_steps[places]), math.sqrt(variance)


def _fitted(
    data: model.Data, mean_others: np.ndarray, best: Theta, covariance: np.ndarray, freedom: float
) -> Fitted:
    return Fitted(
        theta=best,
        covariance=covariance,
        freedom=freedom,
        log_sizes=np.unique(data.log_batch),
        mean_log_batch=float(data.log_batch.mean()),
        mean_others=mean_others,
        rates=(float(data.log_rate.min()), float(data.log_rate.max())),
        others=np.stack([data.others.min(axis=0), data.others.max(axis=0)]),
    )


def along(fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Log steps at the best hyperparameters, and their derivatives by all parameters, [sizes parameters]."""
    theta = fitted.theta
    law, (by_twice, by_slope, by_sharpness) = model.curve(theta, fitted.log_sizes)
    rows = np.zeros((len(law), len(theta)))
    rows[:, 0], rows[:, 1], rows[:, 11], rows[:, 12] = 1, by_twice, by_slope, by_sharpness
    return theta[0] + law, rows


def best_setting(fitted: Fitted, index: int) -> tuple[float, np.ndarray]:
    """The best log rate, and the best of the others (less their means) among those that were tried."""
    theta, place = fitted.theta, fitted.log_sizes[index] - fitted.mean_log_batch
    each = model.of_others(theta)
    others = np.clip(each[:, 1] + each[:, 2] * place, *fitted.others)
    bottom = theta[2] + theta[3] * place + theta[4] * place**2
    return float(bottom - each[:, 0] @ others), others


def drawn(fitted: Fitted, count: int, rng: np.random.Generator) -> Float[np.ndarray, "draws parameters"]:
    """Parameters that the trials allow: Student's t about the most probable ones."""
    values, vectors = np.linalg.eigh(fitted.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    tails = np.sqrt(fitted.freedom / rng.chisquare(fitted.freedom, (count, 1)))
    return fitted.theta + tails * (rng.standard_normal((count, len(fitted.theta))) @ root.T)


def _at(
    fitted: Fitted, theta: np.ndarray, index: int, errors: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """The recommended log rate and others at a batch size, and the log of the mean steps of runs there."""
    place = fitted.log_sizes[index] - fitted.mean_log_batch
    best, others = best_setting(fitted, index)
    each = model.of_others(theta)
    bottom = theta[:, 2] + theta[:, 3] * place + theta[:, 4] * place**2 - each[:, :, 0] @ others
    bottom += RATE_ERROR * errors[0]
    log_p, log_q = (np.clip(theta[:, at] + theta[:, at + 1] * place, *SLOPES) for at in (5, 7))

    def above(rate: float, rows: slice) -> np.ndarray:
        return model.response(rate - bottom[rows], log_p[rows], log_q[rows])[0]

    few = slice(0, _SETTLING)
    rates = np.clip(best + _OFFSETS, *fitted.rates)
    rate = float(rates[np.argmin([above(rate, few).mean() for rate in rates])])
    off = others - each[:, :, 1] - each[:, :, 2] * place
    bowls = (np.exp(each[:, :, 3]) * off**2).sum(axis=1) / 2
    log_steps, rows = along(fitted)
    tuned = log_steps[index] + (theta - fitted.theta) @ rows[index] + fitted.steps_error * errors[1]
    sigma = np.exp(np.clip(theta[:, 9] + theta[:, 10] * place, -6.0, 1.0))
    return rate, others, tuned + above(rate, slice(None)) + bowls + sigma**2 / 2
