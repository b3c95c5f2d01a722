r"""The model of `headrace.analysis.surface`: log steps of a trial, and the loss of its parameters.

With y = log steps, x = log rate, w = the logs of other hyperparameters less their means, L = log B less its
mean:

    y = m + f(log B) + g(d) + sum_j k_j/2 (w_j - o_j - s_j L)^2 + sigma z
    d = x + sum_j h_j w_j - a - b L - c L^2
    g(d) = log(q e^(-p d) + p e^(q d)) - log(p + q)

so that steps grow as a power p of a rate too small and as a power q of one too large (the cliff), and
g(0) = 0 is the least. f is the curve of `headrace.analysis._law_free`, with free slope and sharpness; 0 for
the logarithms of both is the law log(1 + critical/B). log p, log q and log sigma are linear in L. The best
rate moves with the other hyperparameters (h), each of which has a bowl of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from headrace.analysis._law_free import SHARPNESS_PRIOR, SLOPE_PRIOR
from headrace.analysis._posterior import Bounds, Loss, Theta

Trials = Float[np.ndarray, " trials"]
Others = Float[np.ndarray, "trials others"]

NAMES = (
    "log_fewest", "log_twice", "optimum", "optimum_slope", "optimum_bend", "log_p", "log_p_slope",
    "log_q", "log_q_slope", "log_sigma", "log_sigma_slope", "log_slope", "log_sharpness",
)  # fmt: skip
OF_EACH_OTHER = ("coupling", "place", "place_slope", "log_curvature")
SHAPE = range(11, 13)
"""The places of the two parameters that are 0 if the law holds."""

_MEANS = (0, 0, 0, 0, 0, math.log(0.8), 0, math.log(6), 0, math.log(0.2), 0, 0, 0)
_DEVIATIONS = (
    math.inf, math.inf, math.inf, math.inf, 0.1, 0.5, 0.15, 0.9, 0.3, 0.7, 0.15, SLOPE_PRIOR, SHARPNESS_PRIOR
)  # fmt: skip
_CURVATURE = math.log(0.1), 1.0
_COUPLING, _PLACE_SLOPE = 0.3, 0.3
_MARGIN = 8.0


@dataclass(frozen=True, kw_only=True)
class Data:
    """Trials of one curve that neither diverged nor failed.

    Attributes:
        log_batch: log B.
        log_rate: The logarithm of the learning rate.
        others: The logarithms of other hyperparameters, less their means.
        couplings: How the best log rate is thought to move with each of those.
        log_steps: The logarithm of the steps to the goal, or of those after which the trial was stopped.
        censored: Whether it was stopped before it reached the goal.
    """

    log_batch: Trials
    log_rate: Trials
    others: Others
    couplings: tuple[float, ...]
    log_steps: Trials
    censored: Bool[np.ndarray, " trials"]

    @property
    def place(self) -> Trials:
        """L."""
        return self.log_batch - self.log_batch.mean()


def of_others(theta: np.ndarray) -> Float[np.ndarray, "... others 4"]:
    """The parameters `OF_EACH_OTHER`."""
    return theta[..., len(NAMES) :].reshape(*theta.shape[:-1], -1, len(OF_EACH_OTHER))


def priors(data: Data) -> tuple[Theta, Theta]:
    """Means and standard deviations of the parameters, infinite where nothing is known beforehand."""
    means, deviations = list(_MEANS), list(_DEVIATIONS)
    spans = np.ptp(data.others, axis=0) if len(data.couplings) else []
    for coupling, span in zip(data.couplings, spans, strict=True):
        means += [coupling, 0.0, 0.0, _CURVATURE[0]]
        deviations += [_COUPLING, float(span) / 2, _PLACE_SLOPE, _CURVATURE[1]]
    return np.array(means, np.float64), np.array(deviations, np.float64)


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


def curve(theta: Theta, log_batch: Trials) -> tuple[Trials, list[Trials]]:
    """The curve f and its derivatives by log Btwice, log slope and log sharpness."""
    slope, sharp = math.exp(theta[11]), math.exp(theta[12])
    gap = theta[1] - log_batch
    z = math.log(math.expm1(sharp * math.log(2))) + slope * sharp * gap
    value, share = np.logaddexp(0, z) / sharp, np.exp(-np.logaddexp(0, -z))
    start = math.log(2) / -math.expm1(-sharp * math.log(2))
    return value, [slope * share, slope * gap * share, share * (start + slope * gap) - value]


def loss_of(data: Data) -> Loss:
    """The negative log posterior of the parameters `NAMES` and `OF_EACH_OTHER`, with its gradient."""
    from scipy.special import log_ndtr

    means, deviations = priors(data)
    precisions = deviations**-2.0
    place, others, ones = data.place, data.others.T, np.ones_like(data.log_batch)

    def loss(theta: Theta) -> tuple[float, Theta]:
        each = of_others(theta)
        distance = data.log_rate - theta[2] - theta[3] * place - theta[4] * place**2 + each[:, 0] @ others
        value, by_d, by_p, by_q = response(distance, theta[5] + theta[6] * place, theta[7] + theta[8] * place)
        off = others - each[:, 1, None] - each[:, 2, None] * place
        bowls = np.exp(each[:, 3, None]) * off
        law, by_curve = curve(theta, data.log_batch)
        log_sigma = theta[9] + theta[10] * place
        mean = theta[0] + law + value + (bowls * off).sum(axis=0) / 2
        z = (data.log_steps - mean) / np.exp(log_sigma)
        beyond = log_ndtr(-z)
        fits = np.where(data.censored, beyond, -log_sigma - z**2 / 2)
        hazard = np.exp(-(z**2) / 2 - 0.5 * math.log(2 * math.pi) - beyond)
        by_mean = np.where(data.censored, hazard, z) / np.exp(log_sigma)
        by_sigma = np.where(data.censored, hazard * z, z**2 - 1)
        moves = [ones, by_curve[0], -by_d, -by_d * place, -by_d * place**2]
        moves += [by_p, by_p * place, by_q, by_q * place]
        gradient = [(by_mean * move).sum() for move in moves]
        gradient += [by_sigma.sum(), (by_sigma * place).sum()]
        gradient += [(by_mean * move).sum() for move in by_curve[1:]]
        for w, bowl, part in zip(others, bowls, off, strict=True):
            moves = [by_d * w, -bowl, -bowl * place, bowl * part / 2]
            gradient += [(by_mean * move).sum() for move in moves]
        prior = precisions * (theta - means)
        return float(prior @ (theta - means) / 2 - fits.sum()), prior - np.array(gradient)

    return loss


def start(data: Data) -> Theta:
    """Where to start: the law and a line through the best trial of each batch size."""
    from headrace.analysis import _profile as law

    best = [
        rows[data.log_steps[rows].argmin()]
        for size in np.unique(data.log_batch)
        if len(rows := np.flatnonzero((data.log_batch == size) & ~data.censored))
    ]
    theta = priors(data)[0]
    x, y = data.log_batch[best], data.log_steps[best]
    rates = data.log_rate[best] + data.others[best] @ np.array(data.couplings)
    fitted = law.least_squares(x, y)
    critical = min(max(fitted.log_critical, x.min() - 2), x.max() + 2)
    slope, level = np.polyfit(data.place[best], rates, 1)
    theta[:4] = float((y - law.curve(critical, x)).mean()) + 0.1, critical, level, slope
    return theta


def bounds(data: Data) -> Bounds:
    """Beyond them a curve is flat, or perfect scaling, at all sizes, or a parameter makes no sense."""
    free: Bounds = [(None, None)] * len(priors(data)[0])
    rates = data.log_rate + data.others @ np.array(data.couplings)
    free[1] = (float(data.log_batch.min()) - _MARGIN, float(data.log_batch.max()) + _MARGIN)
    free[2] = (float(rates.min()) - 3, float(rates.max()) + 3)
    free[9] = (math.log(0.005), math.log(3))
    for place in SHAPE:
        free[place] = (-1.5, 1.5)
    return free
