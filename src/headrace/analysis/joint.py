r"""One model of all studies of a grid: how far each level moves the curve S(B), and which gains add.

With y the mean log steps of a study's replicates, L = log B, and c its configuration:

    y = log(e^{m_c} + e^{a_c - L}) + h_B,    m_c = log Smin,    a_c - m_c = log Bcrit.

So a is what a curve costs where batches are small (examples to the goal, in logs) and m what it needs where
they are large (steps). Both are sums of main effects of the axes' levels against the axes' baselines, and
of the interactions of two axes. h_B is what the law misses at a batch size for all configurations alike
(`MISSED`): it cancels in every comparison, so that these do not rest on the law. Points scatter by their
own standard error and by what is missed of a single study, by its tuning for example, whose variance is
estimated with the rest. Weak normal priors of `SPREAD` on every effect (a factor of 7 either way within two
of them) hold those that the points do not show; none on the baseline's own curve but that its critical
batch size lies within a factor of e^8 of those tested.

Forty-eight noisy points so give a few sharp numbers: each contrast draws on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, " points"]
Theta = Float[np.ndarray, " parameters"]
Levels = Mapping[str, str]
"""Axis -> level: what a configuration is."""
Quantity = Literal["steps", "fewest", "critical"]
Place = tuple[Levels, float, float]

SPREAD, TOGETHER = 1.0, 0.3
"""The prior standard deviations of a level's effect on log steps, and of what two levels add together."""
MISSED = 0.3
"""That of what the law misses in log steps at a batch size: other laws of S(B) are so far off."""
_MARGIN = 8.0
_CURVED = 3
"""A level that was tried at fewer batch sizes moves the curve as a whole: its bend cannot be seen."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One study, as the model takes it.

    Attributes:
        levels: Axis -> level.
        batch_size: Examples per step.
        log_steps: The mean logarithm of its steps to the goal.
        error: The standard error of that mean.
        freedom: The degrees of freedom of that standard error.
    """

    levels: Levels
    batch_size: float
    log_steps: float
    error: float
    freedom: float


@dataclass(frozen=True)
class Term:
    """A column of the design: one level of an axis, or one of each of two axes; none is the baseline.

    Attributes:
        parts: (axis, level) pairs.
        curved: Whether it moves small and large batches differently.
    """

    parts: tuple[tuple[str, str], ...]
    curved: bool = True

    def holds(self, levels: Levels) -> bool:
        """Whether a configuration has these levels."""
        return all(levels[axis] == level for axis, level in self.parts)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A quantity with its standard error, in logs."""

    value: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Joint:
    """The fitted model.

    Attributes:
        points: What it was fitted to.
        terms: Its columns, the baseline first.
        theta: The effects on a, one a term, then those on m, one a curved term (an even shift moves both),
            then what the law misses at each batch size.
        covariance: Of `theta`.
        freedom: Degrees of freedom of its intervals.
        misfit: The standard deviation, in logs, of what the model misses of a study beyond its replicates'
            scatter.
    """

    points: tuple[Point, ...]
    terms: tuple[Term, ...]
    theta: Theta
    covariance: Float[np.ndarray, "parameters parameters"]
    freedom: float
    misfit: float

    @property
    def batch_sizes(self) -> tuple[float, ...]:
        """Those of the points, rising."""
        return tuple(sorted({point.batch_size for point in self.points}))

    def estimate(self, what: Quantity, places: Sequence[Place]) -> Estimate:
        """A weighted sum of one quantity over places, with its standard error.

        Args:
            what: "steps" (log steps there), "fewest" (log Smin), or "critical" (log Bcrit).
            places: (configuration, batch size, weight); the batch size matters for "steps" alone.
        """
        rows = _Rows.of(self.terms, self.batch_sizes, [(levels, batch) for levels, batch, _ in places])
        weights = np.array([place[2] for place in places])
        slope = weights @ rows.slope(self.theta, what)
        return Estimate(
            value=float(weights @ rows.value(self.theta, what)),
            error=math.sqrt(max(float(slope @ self.covariance @ slope), 0.0)),
        )

    @property
    def log_steps(self) -> Points:
        """Log steps of each study: between the model and its own mean, nearer to its own the more is missed.

        The best linear unbiased prediction of a study with a random effect [D]: the setting that was tuned
        for it is the one that a user would train, so what the model misses of it counts.
        """
        trust = self._trust
        own = np.array([point.log_steps for point in self.points])
        return (1 - trust) * self._rows.curve(self.theta) + trust * own

    def draws(self, size: int, rng: np.random.Generator) -> Float[np.ndarray, "size points"]:
        """Values that `log_steps` might have, those of one draw belonging together.

        Args:
            size: The number of draws.
            rng: Where they are drawn from.
        """
        count, trust = len(self.theta), self._trust
        root = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(count))
        own = np.array([point.error for point in self.points]) * np.sqrt(trust)
        wide = 1 / np.sqrt(rng.chisquare(self.freedom, (size, 1)) / self.freedom)
        moved = (rng.standard_normal((size, count)) @ root.T) @ self._rows.slope(self.theta, "steps").T
        apart = rng.standard_normal((size, len(own))) * own
        return self.log_steps + wide * ((1 - trust) * moved + apart)

    @property
    def _trust(self) -> Points:
        """The share of a study's own mean in what is said of it."""
        own = np.array([point.error for point in self.points]) ** 2
        return self.misfit**2 / (self.misfit**2 + own)

    @property
    def _rows(self) -> _Rows:
        return _Rows.of(self.terms, self.batch_sizes, [(p.levels, p.batch_size) for p in self.points])


def terms_of(points: Sequence[Point], baselines: Levels) -> tuple[Term, ...]:
    """The columns: the baseline, each other level of each axis, and each pair of those that were crossed.

    A pair is a column if its configuration was tried, with each of its levels at the other's baseline
    too: without these an interaction cannot be distinguished from the main effects.

    Args:
        points: The studies.
        baselines: Axis -> the level that others are compared with.
    """
    found = [Term(())]
    levels = {
        axis: list(dict.fromkeys(point.levels[axis] for point in points if point.levels[axis] != base))
        for axis, base in baselines.items()
    }
    for axis, names in levels.items():
        found += [_term(points, ((axis, name),)) for name in names]
    for one, other in combinations(levels, 2):
        pairs = [((one, a), (other, b)) for a in levels[one] for b in levels[other]]
        found += [_term(points, pair) for pair in pairs if _crossed(points, pair, baselines)]
    return tuple(found)


def _term(points: Sequence[Point], parts: tuple[tuple[str, str], ...]) -> Term:
    term = Term(parts)
    sizes = {point.batch_size for point in points if term.holds(point.levels)}
    return Term(parts, curved=len(sizes) >= _CURVED)


def _crossed(points: Sequence[Point], pair: tuple[tuple[str, str], ...], baselines: Levels) -> bool:
    (one, a), (other, b) = pair
    there = {(point.levels[one], point.levels[other]) for point in points}
    return {(a, b), (a, baselines[other]), (baselines[one], b)} <= there


def fit_joint(points: Sequence[Point], baselines: Levels) -> Joint | None:
    """Fit the model to every study that reached the goal.

    Args:
        points: One a study.
        baselines: Axis -> the level that others are compared with; the axes that vary.

    Returns:
        The model; None if there are fewer than three batch sizes, or no more points than effects.
    """
    terms = terms_of(points, baselines)
    curved = sum(term.curved for term in terms)
    sizes = sorted({point.batch_size for point in points})
    # Two of what the law misses at the batch sizes are in the baseline's own curve.
    count = len(terms) + curved + len(sizes) - 2
    if len(sizes) < _CURVED or len(points) <= count:
        return None
    rows = _Rows.of(terms, sizes, [(point.levels, point.batch_size) for point in points])
    y = np.array([point.log_steps for point in points])
    own = np.array([point.error for point in points]) ** 2
    misfit = 0.0
    theta = rows.start(y)
    for _ in range(25):
        theta, covariance, residual = rows.solve(theta, y, own + misfit)
        before, misfit = misfit, _excess(residual, own, len(points) - count)
        if abs(misfit - before) <= 1e-3 * (own.mean() + misfit):
            break
    theta, covariance, _ = rows.solve(theta, y, own + misfit)
    return Joint(
        points=tuple(points),
        terms=terms,
        theta=theta,
        covariance=covariance,
        freedom=_freedom(points, own, misfit, len(points) - count),
        misfit=math.sqrt(misfit),
    )


def _excess(residual: Points, own: Points, freedom: int) -> float:
    """The variance beyond the points' own at which the weighted residuals are what their number expects."""
    from scipy.optimize import brentq

    def over(extra: float) -> float:
        return float((residual**2 / (own + extra)).sum()) - freedom

    if over(0.0) <= 0:
        return 0.0
    most = float((residual**2).sum())
    found: Any = brentq(over, 0.0, most, xtol=1e-10)
    return float(found)


def _freedom(points: Sequence[Point], own: Points, misfit: float, left: int) -> float:
    """Satterthwaite's, of the mean variance of a point: its own part and the misfit, each with its own."""
    mine = float(own.mean())
    within = sum(point.freedom for point in points)
    parts = mine**2 / max(within, 1.0) + misfit**2 / max(left, 1)
    return max((mine + misfit) ** 2 / parts if parts else within, 3.0)


@dataclass(frozen=True)
class _Rows:
    """The design of some points: how a and m of each follow from the effects."""

    small: Float[np.ndarray, "points parameters"]
    large: Float[np.ndarray, "points parameters"]
    missed: Float[np.ndarray, "points parameters"]
    spreads: Theta
    log_batch: Points

    @classmethod
    def of(
        cls, terms: Sequence[Term], batch_sizes: Sequence[float], where: Sequence[tuple[Levels, float]]
    ) -> _Rows:
        holds = np.array([[term.holds(levels) for term in terms] for levels, _ in where], float)
        at = np.array([[batch == size for size in batch_sizes] for _, batch in where], float)
        curved = np.array([term.curved for term in terms])
        spreads = np.array([TOGETHER if len(term.parts) > 1 else SPREAD for term in terms])
        own, none = np.zeros((len(where), int(curved.sum()))), np.zeros_like(at)
        return cls(
            small=np.hstack([holds, own, none]),
            # A level whose bend cannot be told shifts both ends by its one effect.
            large=np.hstack([holds * ~curved, holds[:, curved], none]),
            missed=np.hstack([np.zeros_like(holds), own, at]),
            spreads=np.concatenate([spreads, spreads[curved], np.full(len(batch_sizes), MISSED)]),
            log_batch=np.log([batch for _, batch in where]),
        )

    def law(self, theta: Theta) -> Points:
        return np.logaddexp(self.large @ theta, self.small @ theta - self.log_batch)

    def curve(self, theta: Theta) -> Points:
        return self.law(theta) + self.missed @ theta

    def value(self, theta: Theta, what: Quantity) -> Points:
        if what == "steps":
            return self.curve(theta)
        return (self.large if what == "fewest" else self.small - self.large) @ theta

    def slope(self, theta: Theta, what: Quantity) -> Float[np.ndarray, "points parameters"]:
        """The derivative of `value` by the effects."""
        if what != "steps":
            return self.large if what == "fewest" else self.small - self.large
        share = np.exp(self.large @ theta - self.law(theta))[:, None]
        return share * self.large + (1 - share) * self.small + self.missed

    def start(self, y: Points) -> Theta:
        """The baseline's law through all points, no effects."""
        from headrace.analysis import _profile as law

        fitted = law.least_squares(self.log_batch, y)
        low, high = self.log_batch.min() - 2, self.log_batch.max() + 2
        critical = min(max(fitted.log_critical, low), high)
        fewest = float((y - law.curve(critical, self.log_batch)).mean())
        theta = np.zeros(self.small.shape[1])
        theta[[0, self._base_of_large]] = fewest + critical, fewest
        return theta

    def solve(
        self, theta: Theta, y: Points, variance: Points
    ) -> tuple[Theta, Float[np.ndarray, "parameters parameters"], Points]:
        """The effects of the least weighted squares and priors, their covariance, and the residuals."""
        from scipy.optimize import least_squares

        root = 1 / np.sqrt(variance)
        priors = self._priors()

        def off(theta: Theta) -> Points:
            return np.concatenate([(y - self.curve(theta)) * root, priors @ theta - self._centre])

        def slope(theta: Theta) -> Float[np.ndarray, "rows parameters"]:
            return np.vstack([-self.slope(theta, "steps") * root[:, None], priors])

        minimise: Any = least_squares
        found: Any = minimise(off, theta, jac=slope, method="lm", max_nfev=400)
        jacobian = slope(found.x)
        covariance = np.linalg.pinv(jacobian.T @ jacobian)
        return np.asarray(found.x), covariance, y - self.curve(found.x)

    def _priors(self) -> Float[np.ndarray, "rows parameters"]:
        """Rows that are standard normal where the priors hold; the last holds log Bcrit near the sizes."""
        parameters = self.small.shape[1]
        rows = np.diag(1 / self.spreads)
        bases = [0, self._base_of_large]
        critical = np.zeros(parameters)
        critical[bases] = 1 / _MARGIN, -1 / _MARGIN
        return np.vstack([np.delete(rows, bases, axis=0), critical])

    @property
    def _centre(self) -> Points:
        centre = np.zeros(self.small.shape[1] - 1)
        centre[-1] = self.log_batch.mean() / _MARGIN
        return centre

    @property
    def _base_of_large(self) -> int:
        """The column of the baseline's m: every row has it."""
        return int(np.flatnonzero((self.large == 1).all(axis=0))[0])
