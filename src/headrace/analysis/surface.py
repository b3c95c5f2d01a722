r"""The tuned optimum of a whole curve: a censored response surface over batch size and learning rate.

S(B), the fewest of N runs, mixes two opposite errors: no trial hit the best learning rate, and one was lucky.
All trials of a curve together distinguish them. With y = log steps, x = log rate, L = log B less its mean:

    y = m + log(1 + e^u / B) + g(x - a - b L - c L^2) + sigma z
    g(d) = log(q e^(-p d) + p e^(q d)) - log(p + q)

so that steps grow as a power p of a rate too small and as a power q of one too large (the cliff), and
g(0) = 0 is the least; log p, log q and log sigma are linear in L. Weak normal priors (below) hold what the
trials do not show. Trials that were stopped before the goal are right-censored. Maximum a posteriori by
L-BFGS with the analytic gradient. Trials that diverged are left out: where on the cliff they fell depends on
the tolerance for it [D].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

Trials = Float[np.ndarray, " trials"]
Censored = Bool[np.ndarray, " trials"]
Theta = Float[np.ndarray, " parameters"]
Loss = Callable[[Theta], tuple[float, Theta]]
Bounds = list[tuple[float | None, float | None]]

NAMES = (
    "log_fewest", "log_critical", "optimum", "optimum_slope", "optimum_bend", "log_p", "log_p_slope",
    "log_q", "log_q_slope", "log_sigma", "log_sigma_slope",
)  # fmt: skip
_MEANS = np.array([0, 0, 0, 0, 0, math.log(0.8), 0, math.log(6), 0, math.log(0.2), 0])
_PRECISIONS = np.array([0, 0, 0, 0, 0.1, 0.5, 0.15, 0.9, 0.3, 0.7, 0.15])
_PRECISIONS[_PRECISIONS > 0] **= -2
_MARGIN = 8.0
LEAST_REACHED = 12
"""Fewer trials that reached the goal do not determine a surface."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The fitted surface of one curve.

    Attributes:
        batch_sizes: The different ones, rising.
        steps: Of a run at the best learning rate, the median over seeds, at each batch size.
        intervals: Of those steps.
        learning_rates: The best learning rate at each batch size.
        critical_batch_size: Where twice the fewest steps are needed.
        critical_interval: Its profile interval, open at 0 or infinity.
        steps_min: The fewest steps that any batch size needs.
        scatter: The standard deviation of log steps between seeds, in the middle of the batch sizes.
        reached: How many trials reached the goal.
        level: Of the intervals.
    """

    batch_sizes: tuple[float, ...]
    steps: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    learning_rates: tuple[float, ...]
    critical_batch_size: float
    critical_interval: tuple[float, float]
    steps_min: float
    scatter: float
    reached: int
    level: float


def fit_surface(
    batch_sizes: Trials,
    learning_rates: Trials,
    log_steps: Trials,
    censored: Censored,
    *,
    level: float = 0.95,
) -> Surface | None:
    """Fit the surface to all trials of one curve that neither diverged nor failed.

    Args:
        batch_sizes: Examples per step of each trial.
        learning_rates: Its learning rate.
        log_steps: The logarithm of its steps to the goal, or of those after which it was stopped.
        censored: Whether it was stopped before it reached the goal.
        level: Of the intervals.

    Returns:
        The surface; None if fewer than `LEAST_REACHED` trials, or those of fewer than three batch sizes,
        reached the goal.
    """
    from scipy.special import stdtrit

    reached = int((~censored).sum())
    if reached < LEAST_REACHED or len(np.unique(batch_sizes[~censored])) < 3:
        return None
    log_batch, log_rate = np.log(batch_sizes), np.log(learning_rates)
    posterior = _Posterior(loss_of(log_batch, log_rate, log_steps, censored), _bounds(log_batch, log_rate))
    best, least = posterior.mode(start(log_batch, log_rate, log_steps, censored))
    t = float(stdtrit(max(reached - 8, 3), (1 + level) / 2))
    covariance = posterior.covariance(best)
    sizes = np.unique(batch_sizes)
    log_tuned, half = _tuned(best, covariance, np.log(sizes), t)
    error = min(math.sqrt(max(covariance[1, 1], 1e-6)), 2.0)
    low, high = (posterior.end(best, least + t**2 / 2, sign * error) for sign in (-1, 1))
    place = np.log(sizes) - log_batch.mean()
    return Surface(
        batch_sizes=tuple(sizes.tolist()),
        steps=tuple(np.exp(log_tuned).tolist()),
        intervals=tuple(
            zip(np.exp(log_tuned - half).tolist(), np.exp(log_tuned + half).tolist(), strict=True)
        ),
        learning_rates=tuple(np.exp(best[2] + best[3] * place + best[4] * place**2).tolist()),
        critical_batch_size=math.exp(best[1]),
        critical_interval=(math.exp(low), math.exp(high) if math.isfinite(high) else math.inf),
        steps_min=math.exp(best[0]),
        scatter=math.exp(best[9]),
        reached=reached,
        level=level,
    )


def _tuned(
    best: Theta, covariance: np.ndarray, log_sizes: np.ndarray, t: float
) -> tuple[np.ndarray, np.ndarray]:
    """Log steps at the best learning rate and half the width of their interval, by the delta method."""
    rows = np.zeros((len(log_sizes), len(best)))
    rows[:, 0], rows[:, 1] = 1, _sigmoid(best[1] - log_sizes)
    half = t * np.sqrt(np.einsum("bi,ij,bj->b", rows, covariance, rows))
    return best[0] + np.logaddexp(0, best[1] - log_sizes), half


def response(distance: Trials, log_p: Trials, log_q: Trials) -> tuple[Trials, Trials, Trials, Trials]:
    """g(d) and its derivatives by d, log p and log q."""
    p, q = np.exp(log_p), np.exp(log_q)
    small, large = log_q - p * distance, log_p + q * distance
    whole = np.logaddexp(small, large)
    left, right = np.exp(small - whole), np.exp(large - whole)
    value = whole - np.log(p + q)
    by_p = right - p * distance * left - p / (p + q)
    by_q = left + q * distance * right - q / (p + q)
    return value, q * right - p * left, by_p, by_q


def loss_of(log_batch: Trials, log_rate: Trials, log_steps: Trials, censored: Censored) -> Loss:
    """The negative log posterior of the parameters `NAMES`, with its gradient."""
    from scipy.special import log_ndtr

    place = log_batch - log_batch.mean()

    def loss(theta: Theta) -> tuple[float, Theta]:
        distance = log_rate - theta[2] - theta[3] * place - theta[4] * place**2
        value, by_d, by_p, by_q = response(distance, theta[5] + theta[6] * place, theta[7] + theta[8] * place)
        log_sigma = theta[9] + theta[10] * place
        sigma = np.exp(log_sigma)
        z = (log_steps - theta[0] - np.logaddexp(0, theta[1] - log_batch) - value) / sigma
        beyond = log_ndtr(-z)
        fits = np.where(censored, beyond, -log_sigma - z**2 / 2)
        hazard = np.exp(-(z**2) / 2 - 0.5 * math.log(2 * math.pi) - beyond)
        by_mean = np.where(censored, hazard, z) / sigma
        by_sigma = np.where(censored, hazard * z, z**2 - 1)
        ones = np.ones_like(place)
        moves = [ones, _sigmoid(theta[1] - log_batch), -by_d, -by_d * place, -by_d * place**2]
        moves += [by_p, by_p * place, by_q, by_q * place]
        gradient = [(by_mean * move).sum() for move in moves]
        gradient += [by_sigma.sum(), (by_sigma * place).sum()]
        off = theta - _MEANS
        prior = _PRECISIONS * off
        return float(prior @ off / 2 - fits.sum()), prior - np.array(gradient)

    return loss


def start(log_batch: Trials, log_rate: Trials, log_steps: Trials, censored: Censored) -> Theta:
    """Where to start: the law and a line through the best trial of each batch size."""
    from headrace.analysis import _profile as law

    best = [
        rows[log_steps[rows].argmin()]
        for size in np.unique(log_batch)
        if len(rows := np.flatnonzero((log_batch == size) & ~censored))
    ]
    x, rates, y = log_batch[best], log_rate[best], log_steps[best]
    fitted = law.least_squares(x, y)
    critical = min(max(fitted.log_critical, x.min() - 2), x.max() + 2)
    slope, level = np.polyfit(x - log_batch.mean(), rates, 1)
    theta = _MEANS.copy()
    theta[:4] = float((y - law.curve(critical, x)).mean()) + 0.1, critical, level, slope
    return theta


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -values))


def _bounds(log_batch: Trials, log_rate: Trials) -> Bounds:
    """Beyond them a curve is flat, or perfect scaling, at all sizes, or a parameter makes no sense."""
    free: Bounds = [(None, None)] * len(NAMES)
    free[1] = (float(log_batch.min()) - _MARGIN, float(log_batch.max()) + _MARGIN)
    free[2] = (float(log_rate.min()) - 3, float(log_rate.max()) + 3)
    free[9] = (math.log(0.005), math.log(3))
    return free


@dataclass(frozen=True)
class _Posterior:
    """A loss with its bounds, and what is read off it."""

    loss: Loss
    bounds: Bounds

    def mode(self, theta: Theta) -> tuple[Theta, float]:
        """The parameters of the least loss, and that loss."""
        return self._least(theta, self.bounds)

    def _least(self, theta: Theta, bounds: Bounds) -> tuple[Theta, float]:
        from scipy.optimize import minimize

        found: Any = minimize(
            self.loss,
            theta,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 500, "maxcor": 20},
        )
        return np.asarray(found.x), float(found.fun)

    def covariance(self, best: Theta) -> np.ndarray:
        """The inverse of the Hessian, by differences of the gradient; without curvature it is wide."""
        steps = 1e-4 * np.eye(len(best))
        hessian = np.array([(self.loss(best + e)[1] - self.loss(best - e)[1]) / 2e-4 for e in steps])
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        return (vectors / np.maximum(values, 1e-3)) @ vectors.T

    def end(self, best: Theta, threshold: float, step: float) -> float:
        """The log critical batch size at which the loss, at its least over the rest, passes `threshold`.

        Outwards from the best in steps of `step`; infinite if the loss stays below up to the bound.
        """
        theta, inner, (low, high) = best.copy(), float(best[1]), self.bounds[1]
        least = self.loss(best)[0]
        goal, inner_rise = math.sqrt(threshold - least), 0.0

        def rise(u: float) -> float:
            theta[1] = u
            theta[:], found = self._least(theta, [*self.bounds[:1], (u, u), *self.bounds[2:]])
            return math.sqrt(max(found - least, 0.0))

        outer = inner + step
        while (outer_rise := rise(outer)) < goal:
            inner, inner_rise, outer = outer, outer_rise, outer + step
            if not (low or -math.inf) < outer < (high or math.inf):
                return math.copysign(math.inf, step)
        # The root of the rise is nearly straight in between.
        for _ in range(3):
            u = inner + (outer - inner) * (goal - inner_rise) / (outer_rise - inner_rise)
            if (found := rise(u)) < goal:
                inner, inner_rise = u, found
            else:
                outer, outer_rise = u, found
        return inner + (outer - inner) * (goal - inner_rise) / (outer_rise - inner_rise)
