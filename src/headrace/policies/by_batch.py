"""Policies that forward a batch of candidates and train on some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.checks import flag, number, whole
from headrace.errors import InputError
from headrace.policies._base import BatchPolicy, State, Values
from headrace.policies._values import filled, score, store
from headrace.sampling.draws import permutation
from headrace.sampling.plan import Chosen, Epoch, Known, Plan

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientNorm(BatchPolicy):
    """Draw within the candidates by a bound on the gradient norm (Katharopoulos and Fleuret 2018).

    The bound is `G = |softmax - onehot|_2`. Of B candidates b are drawn with replacement by `g = G / sum G`,
    with weights `1 / (B g)`. It is on in epochs in which the expected reduction of variance pays for the
    forward passes: `sqrt(N sum g^2) > (B + 3b) / (3b)`. The paper tests that at every step with a moving
    average over batches; here it is tested at every epoch over the history of all N examples.

    Args:
        candidates: B / b, at least 2.
        always: On in every epoch, from the first.
    """

    candidates: int = 3
    always: bool = False
    changes_objective = False
    needs = frozenset({"history"})

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_candidates(self, "gradient-norm.candidates")
        store(self, always=flag(self.always, "gradient-norm.always"))

    def assess(self, known: Known, epoch: Epoch) -> Values:
        """The mean bound over each example's history."""
        return score("el2n", known.history)

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """Every example once, as a candidate or, while the policy is off, to train on."""
        order = permutation(epoch.num_examples, rng)
        return Plan(indices=order, candidates=self.candidates if self.pays(values) else 1)

    def pays(self, values: Values | None) -> bool:
        """Whether the variance saved is worth the candidates' forward passes (a third of a step each)."""
        if self.always:
            return True
        if values is None or np.isnan(values).all():
            return False
        norms = filled(values)
        if norms.max() <= 0:
            return False
        return float(np.sqrt(np.mean(norms**2)) / norms.mean()) > (self.candidates + 3) / 3

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples

    def rate(self, outputs: Tensor, targets: Tensor, losses: Tensor, values: Tensor | None) -> Tensor:
        """The bound of each candidate's gradient norm."""
        probabilities = outputs.float().softmax(-1)
        return (probabilities - _one_hot(targets, outputs)).norm(dim=-1)

    def pick(
        self, ratings: Tensor, count: int, state: State, rng: np.random.Generator
    ) -> tuple[Chosen, State]:
        """Draw with replacement by rating, and weigh by the inverse probability."""
        import torch

        # A millionth of the mean keeps every probability positive, and the weights follow it exactly.
        odds = ratings + 1e-6 * ratings.mean() + 1e-30
        sums = odds.cumsum(0)
        points = _on(rng.random(count), ratings) * sums[-1]
        positions = torch.searchsorted(sums, points, right=True).clamp(max=len(odds) - 1)
        return Chosen(positions=positions, weights=odds.mean() / odds[positions]), state


@dataclass(frozen=True)
class SelectiveBackprop(BatchPolicy):
    """Train on candidates of large loss: odds are a power of the rank among the latest (Jiang et al. 2019).

    The paper keeps each candidate with probability `P = CDF(loss)^beta`, so that the number kept varies. Here
    the number is fixed and the kept are those of smallest `u / P`, u uniform (sequential Poisson sampling,
    Ohlsson 1998): the same odds, and every step trains on as many.

    Args:
        beta: The power; `1 / (beta + 1)` of the candidates are kept on average in the paper.
        candidates: Candidates for each example trained on, at least 2; by default `round(beta) + 1`.
        window: How many of the latest losses rank a new one.
    """

    beta: float = 1.0
    candidates: int = 0
    window: int = 1024
    changes_objective = True

    def __post_init__(self) -> None:
        """Check the settings and fill in the candidates."""
        number(self.beta, "selective-backprop.beta", above=0)
        window = whole(self.window, "selective-backprop.window", least=1)
        store(self, beta=self.beta, window=window)
        if whole(self.candidates, "selective-backprop.candidates", least=0) == 0:
            store(self, candidates=max(round(self.beta) + 1, 2))
        _check_candidates(self, "selective-backprop.candidates")

    def assess(self, known: Known, epoch: Epoch) -> None:
        """Needs nothing."""

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """Every example once, as a candidate."""
        return Plan(indices=permutation(epoch.num_examples, rng), candidates=self.candidates)

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples

    def rate(self, outputs: Tensor, targets: Tensor, losses: Tensor, values: Tensor | None) -> Tensor:
        """The loss."""
        return losses

    def pick(
        self, ratings: Tensor, count: int, state: State, rng: np.random.Generator
    ) -> tuple[Chosen, State]:
        """The candidates of smallest `u / P`; remembers the latest losses."""
        import torch

        latest = torch.cat([state["losses"], ratings]) if state else ratings
        latest = latest[-self.window :]
        ranks = torch.searchsorted(latest.sort().values, ratings.contiguous(), right=True).clamp(min=1)
        keep = (ranks / len(latest)) ** self.beta
        times = _on(rng.random(len(ratings)), keep) / keep
        positions = times.topk(count, largest=False).indices
        return _unweighted(positions, ratings), {"losses": latest}


@dataclass(frozen=True)
class RhoLoss(BatchPolicy):
    """Train on the candidates whose loss exceeds that of a held-out model most (Mindermann et al. 2022).

    Args:
        candidates: Candidates for each example trained on, at least 2; the paper's 10 keeps the top tenth.
    """

    candidates: int = 10
    changes_objective = True
    needs = frozenset({"holdout_losses"})

    def __post_init__(self) -> None:
        """Check the settings."""
        _check_candidates(self, "rho-loss.candidates")

    def assess(self, known: Known, epoch: Epoch) -> Values | None:
        """The irreducible loss: that of the model trained on held-out data."""
        return known.holdout_losses

    def plan(self, values: Values | None, epoch: Epoch, rng: np.random.Generator) -> Plan:
        """Every example once, as a candidate."""
        return Plan(indices=permutation(epoch.num_examples, rng), candidates=self.candidates)

    def draws(self, epoch: Epoch) -> int:
        """Every example once."""
        return epoch.num_examples

    def rate(self, outputs: Tensor, targets: Tensor, losses: Tensor, values: Tensor | None) -> Tensor:
        """The reducible loss."""
        return losses if values is None else losses - values

    def pick(
        self, ratings: Tensor, count: int, state: State, rng: np.random.Generator
    ) -> tuple[Chosen, State]:
        """The largest."""
        return _unweighted(ratings.topk(count).indices, ratings), state


def _one_hot(targets: Any, outputs: Tensor) -> Tensor:
    """1 for the class of each example, else 0 [batch, classes]; on the host the classes are checked.

    Raises:
        InputError: Targets that are not one class per example.
    """
    import torch

    if outputs.ndim != 2 or not isinstance(targets, torch.Tensor) or targets.shape != outputs.shape[:1]:
        got = tuple(targets.shape) if isinstance(targets, torch.Tensor) else type(targets).__name__
        raise InputError(
            "gradient-norm needs outputs [batch, classes] and one class per example as the target",
            where="targets",
            got=got,
        )
    classes = torch.arange(outputs.shape[1], device=outputs.device)
    hot = targets.to(outputs.device).unsqueeze(1) == classes
    if hot.device.type == "cpu" and not hot.any(1).all():
        bad = targets[~hot.any(1)][0].item()
        raise InputError(f"must be from 0 to {outputs.shape[1] - 1}", where="targets", got=bad)
    return hot.to(torch.int64)


def _unweighted(positions: Tensor, ratings: Tensor) -> Chosen:
    return Chosen(positions=positions, weights=ratings.new_ones(len(positions)))


def _on(numbers: np.ndarray, like: Tensor) -> Tensor:
    """Numbers drawn on the host, the same for every device, moved without waiting."""
    import torch

    return torch.from_numpy(numbers).to(device=like.device, dtype=like.dtype, non_blocking=True)


def _check_candidates(policy: BatchPolicy, where: str) -> None:
    """At least 2: one would leave nothing to choose."""
    store(policy, candidates=whole(policy.candidates, where, least=2))
