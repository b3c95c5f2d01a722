"""Sums over per-example gradients from which noise scales in several norms follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Named = Mapping[str, Tensor]


class Sums:
    """Sums over some examples of their gradients, the squares, and of matrices the outer products."""

    def __init__(self, matrices: frozenset[str]) -> None:
        self.count = 0
        self.matrices = matrices
        self.sums: dict[str, Tensor] = {}
        self.squares: dict[str, Tensor] = {}
        self.outers: dict[str, Tensor] = {}

    def add(self, gradients: Named) -> None:
        """Take in the gradients of some examples, [examples ...] each."""
        self.count += len(next(iter(gradients.values())))
        for name, part in gradients.items():
            g = part.to(torch.promote_types(part.dtype, torch.float32))
            _accumulate(self.sums, name, g.sum(0))
            _accumulate(self.squares, name, g.square().sum(0))
            if name in self.matrices:
                across = g if g.shape[1] <= g.shape[2] else g.transpose(1, 2)
                flat = across.transpose(0, 1).flatten(1)
                _accumulate(self.outers, name, flat @ flat.T)

    def __add__(self, other: Sums) -> Sums:
        return self._with(other, 1)

    def __sub__(self, other: Sums) -> Sums:
        return self._with(other, -1)

    def _with(self, other: Sums, sign: int) -> Sums:
        made = Sums(self.matrices)
        made.count = self.count + sign * other.count
        for field in ("sums", "squares", "outers"):
            mine, theirs = getattr(self, field), getattr(other, field)
            setattr(made, field, {name: value + sign * theirs[name] for name, value in mine.items()})
        return made

    def mean(self, name: str) -> Tensor:
        """The mean gradient."""
        return self.sums[name] / self.count

    def variance(self, name: str) -> Tensor:
        """The unbiased variance of each coordinate over examples."""
        found = (self.squares[name] - self.sums[name].square() / self.count) / (self.count - 1)
        return found.clamp(min=0)

    def root_trace(self, name: str) -> Tensor:
        """The trace of (E N N^T)^(1/2), over the shorter side."""
        mean = self.sums[name]
        across = mean if mean.shape[0] <= mean.shape[1] else mean.T
        covariance = (self.outers[name] - across @ across.T / self.count) / (self.count - 1)
        return torch.linalg.eigvalsh(covariance).clamp(min=0).sqrt().sum()


def _accumulate(into: dict[str, Tensor], name: str, value: Tensor) -> None:
    into[name] = into[name] + value if name in into else value


def total_of(groups: Sequence[Sums]) -> Sums:
    """The sums over all groups of examples."""
    total = groups[0]
    for group in groups[1:]:
        total = total + group
    return total
