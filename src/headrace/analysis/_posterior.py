"""The most probable parameters of a smooth model, their covariance, and profile intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Theta = Float[np.ndarray, " parameters"]
Loss = Callable[[Theta], tuple[float, Theta]]
Bounds = list[tuple[float | None, float | None]]


@dataclass(frozen=True)
class Posterior:
    """A negative log posterior with its gradient, and the bounds of its parameters."""

    loss: Loss
    bounds: Bounds

    def mode(self, theta: Theta) -> tuple[Theta, float]:
        """The parameters of the least loss, and that loss."""
        return self._least(theta, self.bounds)

    def fixed(self, places: range, value: float) -> Posterior:
        """The same with some parameters held at a value."""
        held: Bounds = [(value, value) if place in places else ends for place, ends in enumerate(self.bounds)]
        return Posterior(self.loss, held)

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
        """The inverse of the Hessian, by differences of the gradient; without curvature it is wide.

        Zero for parameters that are held.
        """
        steps = 1e-4 * np.eye(len(best))
        hessian = np.array([(self.loss(best + e)[1] - self.loss(best - e)[1]) / 2e-4 for e in steps])
        free = np.array([low is None or low != high for low, high in self.bounds])
        inner = hessian[np.ix_(free, free)]
        values, vectors = np.linalg.eigh((inner + inner.T) / 2)
        covariance = np.zeros_like(hessian)
        covariance[np.ix_(free, free)] = (vectors / np.maximum(values, 1e-3)) @ vectors.T
        return covariance

    def end(self, place: int, best: Theta, threshold: float, step: float) -> float:
        """The value of a parameter at which the loss, at its least over the rest, passes `threshold`.

        Outwards from the best in steps of `step`; infinite if the loss stays below up to the bound.
        """
        theta, inner, (low, high) = best.copy(), float(best[place]), self.bounds[place]
        least = self.loss(best)[0]
        goal, inner_rise = math.sqrt(threshold - least), 0.0

        def rise(u: float) -> float:
            theta[place] = u
            theta[:], found = self._least(theta, [*self.bounds[:place], (u, u), *self.bounds[place + 1 :]])
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
