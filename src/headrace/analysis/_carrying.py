r"""What a setting costs that was not tuned for its batch size, by a surface's model and its draws.

The excess of a setting at a batch size is its log steps less those of the best setting that was searched
there: g(d) of the rate's distance from the bottom of the valley, and the bowls of the other hyperparameters.
It cannot be negative, so its draws never are: an interval of their quantiles alone would exclude 0 even if
the setting is the best. So 0 is in the interval if the trials do not show that the setting is off: if its
offsets from the best, all at once, are no farther from 0 than those draws are from their mean [D].

Where a setting lies outside of what was searched nothing was measured. The excess is convex along the way to
it, so if it still rises where the way leaves the searched space, what it is there is a lower bound [D].
Trials that would need many times the steps were stopped or diverged, so beyond `MOST` times the best nothing
was measured either: the same in whole as "at least".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from headrace.analysis import _surface_model as model
from headrace.analysis.surface import RATE_ERROR, SLOPES, Fitted, along, best_setting, drawn

Draws = Float[np.ndarray, " draws"]
Each = Float[np.ndarray, "draws others"]
MOST = 10.0
"""Larger factors are not distinguished."""
_LOG_MOST = math.log(MOST)
_AHEAD = 0.02
"""The share of the way by which it is seen whether the excess rises."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Natural logarithms of a learning rate, and of the others (of 1 - momentum), less their means."""

    rate: float
    others: Float[np.ndarray, " others"]

    def towards(self, other: Setting, share: float) -> Setting:
        """The setting at a share of the way to another."""
        return Setting(
            rate=self.rate + share * (other.rate - self.rate),
            others=self.others + share * (other.others - self.others),
        )


@dataclass(frozen=True, kw_only=True)
class Excess:
    """Steps over those of the best setting, as a factor.

    Attributes:
        factor: By the most probable surface.
        interval: Of the factor; infinite above beyond `MOST`, and if the factor is a lower bound.
        log_steps: Draws of the log steps themselves.
        bound: Whether it is a lower bound: the setting is outside of what was searched, or costs `MOST`.
    """

    factor: float
    interval: tuple[float, float]
    log_steps: Draws
    bound: bool


def best(fitted: Fitted, index: int) -> Setting:
    """The best setting of a batch size, among those that were searched."""
    rate, others = best_setting(fitted, index)
    return Setting(rate=float(np.clip(rate, *fitted.rates)), others=others)


def within(fitted: Fitted, setting: Setting) -> Setting:
    """The nearest setting that was searched."""
    return Setting(
        rate=float(np.clip(setting.rate, *fitted.rates)), others=np.clip(setting.others, *fitted.others)
    )


@dataclass(frozen=True)
class Carrying:
    """A surface with the draws of its parameters, the same for every setting and batch size.

    Args:
        fitted: The surface.
        theta: Draws of its parameters [draws parameters].
        errors: Standard normal: how far the best rates and the steps lie off any surface [2 sizes draws].
        level: Of the intervals.
    """

    fitted: Fitted
    theta: Float[np.ndarray, "draws parameters"]
    errors: Float[np.ndarray, "2 sizes draws"]
    level: float

    @classmethod
    def of(cls, fitted: Fitted, draws: int, rng: np.random.Generator, level: float) -> Carrying:
        """With that many draws."""
        theta = drawn(fitted, draws, rng)
        return cls(fitted, theta, rng.standard_normal((2, len(fitted.log_sizes), draws)), level)

    def excess(self, index: int, setting: Setting) -> Excess:
        """That of a setting at a batch size.

        Args:
            index: Which of the surface's batch sizes.
            setting: In the searched space or not.
        """
        inside = within(self.fitted, setting)
        if inside.rate == setting.rate and np.array_equal(inside.others, setting.others):
            return self._searched(index, setting)
        # Where the straight way to it, from the nearest setting that was searched, has gone a little further.
        edge, ahead = (self._above(index, one) for one in (inside, inside.towards(setting, _AHEAD)))
        draws = np.where(ahead[1:] >= edge[1:], edge[1:], 0.0)
        value = float(edge[0]) if ahead[0] >= edge[0] else 0.0
        low = min(float(np.quantile(draws, (1 - self.level) / 2)), value)
        low = 0.0 if self._may_be_best(index, inside) else low
        return self._excess(index, value, draws, (low, math.inf))

    def _searched(self, index: int, setting: Setting) -> Excess:
        above = self._above(index, setting)
        value, draws = float(above[0]), above[1:]
        low, high = np.quantile(draws, [(1 - self.level) / 2, (1 + self.level) / 2]).tolist()
        low = 0.0 if self._may_be_best(index, setting) else min(low, value)
        return self._excess(index, value, draws, (low, max(high, value)))

    def _excess(self, index: int, value: float, draws: Draws, ends: tuple[float, float]) -> Excess:
        low, high = ends
        return Excess(
            factor=_factor(value),
            interval=(_factor(low), math.exp(high) if high < _LOG_MOST else math.inf),
            log_steps=self._tuned(index) + np.minimum(draws, _LOG_MOST),
            bound=value >= _LOG_MOST or math.isinf(high),
        )

    def _rows(self, index: int) -> tuple[np.ndarray, float, np.ndarray]:
        """The most probable parameters before the draws, L, and the errors of the best rate."""
        theta = np.vstack([self.fitted.theta, self.theta])
        place = float(self.fitted.log_sizes[index]) - self.fitted.mean_log_batch
        return theta, place, np.concatenate([[0.0], RATE_ERROR * self.errors[0, index]])

    def _above(self, index: int, setting: Setting) -> Draws:
        """The excess by the most probable parameters, then by each draw."""
        theta, place, errors = self._rows(index)
        each = model.of_others(theta)
        bests = each[:, :, 1] + each[:, :, 2] * place
        others = np.clip(bests, *self.fitted.others)
        valley = theta[:, 2] + theta[:, 3] * place + theta[:, 4] * place**2 + errors
        tuned = valley - (each[:, :, 0] * others).sum(axis=1)
        rate = np.clip(tuned, *self.fitted.rates)

        def log_steps(rate: Draws | float, others: np.ndarray) -> Draws:
            off = rate + (each[:, :, 0] * others).sum(axis=1) - valley
            log_p, log_q = (np.clip(theta[:, at] + theta[:, at + 1] * place, *SLOPES) for at in (5, 7))
            bowls = (np.exp(each[:, :, 3]) * (others - bests) ** 2).sum(axis=1) / 2
            return model.response(off, log_p, log_q)[0] + bowls

        return np.maximum(log_steps(setting.rate, setting.others) - log_steps(rate, others), 0.0)

    def _may_be_best(self, index: int, setting: Setting) -> bool:
        """Whether the trials allow that the setting is the best: the offsets of rate and others from it."""
        theta, place, errors = self._rows(index)
        each = model.of_others(theta)
        valley = theta[:, 2] + theta[:, 3] * place + theta[:, 4] * place**2 + errors
        bests = np.clip(each[:, :, 1] + each[:, :, 2] * place, *self.fitted.others)
        tuned = np.clip(valley - (each[:, :, 0] * setting.others).sum(axis=1), *self.fitted.rates)
        off = np.column_stack([setting.rate - tuned, setting.others - bests])[1:]
        apart = off - off.mean(axis=0)
        inverse = np.linalg.pinv(apart.T @ apart / len(apart))
        far = ((apart @ inverse) * apart).sum(axis=1)
        mine = float(off.mean(axis=0) @ inverse @ off.mean(axis=0))
        return bool((far >= mine).mean() > 1 - self.level)

    def _tuned(self, index: int) -> Draws:
        """Draws of the log steps at the best setting."""
        log_steps, rows = along(self.fitted)
        moved = (self.theta - self.fitted.theta) @ rows[index]
        return log_steps[index] + moved + self.fitted.steps_error * self.errors[1, index]


def _factor(excess: float) -> float:
    return math.exp(excess) if excess < _LOG_MOST else MOST
