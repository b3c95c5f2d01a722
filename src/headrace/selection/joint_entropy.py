"""BatchBALD: the batch whose labels together carry most information about the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import entr

from headrace.arrays import Array, beside, on_host
from headrace.checks import generator, whole
from headrace.selection._base import Indices, check_probabilities, resolve_pool

_BLOCK = 1 << 21


def batch_bald(
    probabilities: Any,
    count: int,
    rng: np.random.Generator,
    *,
    configurations: int = 1024,
    candidates: Any = None,
) -> Indices:
    """Greedy on I(y_1..y_n; member), the joint mutual information (Kirsch et al. 2019, BatchBALD, NeurIPS).

    Taking the n highest mutual informations counts what the examples share n times; this counts it once.
    Greedy is within 1 - 1/e of the best batch. Exact while classes^chosen is at most `configurations`; beyond
    that the label configurations of what is chosen are drawn (member, then labels), which is unbiased.

    By the chain rule the gain of an example x is E over configurations of H(sum_e w_e p_e(y|x)) - mean_e
    H(p_e(y|x)) with w the members' weights given the configuration. That form needs no product of many
    probabilities.

    O(count x N x classes x configurations x members) time: for a shortlist, not a whole pool. Take the
    shortlist by mutual information first: `shortlist[batch_bald(p_of_shortlist, count, rng)]`.

    Args:
        probabilities: The members' probabilities [members, examples, classes].
        count: How many.
        rng: The stream of the drawn configurations; not used while exact.
        configurations: The most label configurations that are followed.
        candidates: Indices that may be chosen; all by default.

    Returns:
        Indices, in the order in which they were chosen [count].

    Raises:
        InputError: See the contract in `_base`.
    """
    p = check_probabilities(probabilities, 3)
    configurations, rng = whole(configurations, "configurations", least=1), generator(rng)
    pool = resolve_pool(p.shape[1], count, candidates)
    p = p[:, pool]
    known = entr(p).sum(axis=2).mean(axis=0)
    there = beside(p, probabilities)
    labels = _Labels(len(p), p.shape[2], configurations)
    chosen: list[int] = []
    for _ in range(count):
        gains = labels.entropies(there) - known
        gains[chosen] = -np.inf
        # Equal examples may differ in the last bit: what rounding separates is a tie.
        best = int(np.flatnonzero(gains >= gains.max() - 1e-12)[0])
        labels.add(p[:, best], rng)
        chosen.append(best)
    return pool[chosen].astype(np.int64)


def _entr(values: Array) -> Array:
    """-x ln x, where the values are."""
    if isinstance(values, np.ndarray):
        return entr(values)
    import torch

    return torch.special.entr(values)


class _Labels:
    """Configurations of the chosen examples' labels: their shares, and the members' weights given each."""

    def __init__(self, members: int, classes: int, limit: int) -> None:
        self.classes, self.limit = classes, limit
        self.shares = np.ones(1)
        self.weights = np.full((1, members), 1 / members)
        self.drawn_members: np.ndarray | None = None
        self.exact: list[np.ndarray] = []

    def entropies(self, p: Float[Array, "members pool classes"]) -> Float[np.ndarray, " pool"]:
        """H(y | labels of what is chosen) of every candidate, in nats; computed where `p` is."""
        out = np.empty(p.shape[1])
        weights, shares = beside(self.weights, p), beside(self.shares, p)
        step = max(1, _BLOCK // (len(shares) * self.classes))
        for start in range(0, len(out), step):
            part = p[:, start : start + step]
            mixed = weights @ part.reshape(len(part), -1)
            inner = _entr(mixed).reshape(len(shares), -1, self.classes).sum(2)
            out[start : start + step] = on_host(shares @ inner)
        return out

    def add(self, p: Float[np.ndarray, "members classes"], rng: np.random.Generator) -> None:
        """Take one more example into the configurations."""
        if self.drawn_members is None and len(self.shares) * self.classes > self.limit:
            self._start_drawing(rng)
        if self.drawn_members is None:
            self.exact.append(p)
            self._extend(p)
        else:
            self._draw(p, rng)

    def _extend(self, p: np.ndarray) -> None:
        """Every configuration with every label."""
        joint = self.weights[:, None, :] * p.T[None]
        likelihood = joint.sum(axis=2)
        shares = (self.shares[:, None] * likelihood).ravel()
        possible = shares > 0
        self.shares = shares[possible]
        self.weights = joint.reshape(len(shares), -1)[possible] / likelihood.ravel()[possible, None]

    def _start_drawing(self, rng: np.random.Generator) -> None:
        """Replace the exact configurations by drawn ones."""
        members = self.weights.shape[1]
        self.drawn_members = rng.integers(members, size=self.limit)
        self.shares = np.full(self.limit, 1 / self.limit)
        self.weights = np.full((self.limit, members), 1 / members)
        for p in self.exact:
            self._draw(p, rng)

    def _draw(self, p: np.ndarray, rng: np.random.Generator) -> None:
        """One label for each configuration, drawn by its member."""
        assert self.drawn_members is not None
        sums = np.cumsum(p, axis=1)
        draws = rng.random(self.limit) * sums[self.drawn_members, -1]
        labels = (sums[self.drawn_members] <= draws[:, None]).sum(axis=1)
        self.weights = self.weights * p[:, labels].T
        self.weights /= self.weights.sum(axis=1, keepdims=True)
