"""The conformance suite of policies: what every policy must hold, a user's own included.

One line joins it: `check_policy(MyPolicy(...))`. It fails by `AssertionError` with the law that was broken.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from headrace.histories import History, LabelWindow
from headrace.policies._base import Policy
from headrace.policies.registry import make_policy
from headrace.policies.wrappers import batch_policy
from headrace.random import generator, torch_generator
from headrace.sampling.plan import Epoch, Known, Plan
from headrace.sampling.sampler import ExampleSampler

EPOCHS = 8
"""The length of the training in the suite."""

_CLASSES = 3
_FEATURES = 3


@dataclass(frozen=True)
class Example:
    """A small linear classification with a history: everything a policy may need.

    Attributes:
        num_examples: Examples in the training set.
        rounds: How often each example was observed.
    """

    num_examples: int = 60
    rounds: int = 4

    @cached_property
    def inputs(self) -> Float[torch.Tensor, "examples features"]:
        """Inputs of very different lengths, so that gradients differ."""
        drawn = torch.randn(self.num_examples, _FEATURES, generator=torch_generator(0, "inputs"))
        return drawn * torch.linspace(0.2, 3.0, self.num_examples).unsqueeze(1)

    @cached_property
    def labels(self) -> torch.Tensor:
        """Classes of unequal size."""
        return (torch.arange(self.num_examples) % 5).clamp(max=_CLASSES - 1)

    def logits(self, noise: float = 0.0, round: int = 0) -> Float[torch.Tensor, "examples classes"]:
        """The outputs of the linear model, with noise as from training."""
        weights = torch.randn(_FEATURES, _CLASSES, generator=torch_generator(0, "weights"))
        disturbed = torch.randn(self.num_examples, _CLASSES, generator=torch_generator(0, "noise", round))
        return self.inputs @ weights + noise * disturbed

    @cached_property
    def losses(self) -> Float[torch.Tensor, " examples"]:
        """The loss of each example."""
        return torch.nn.functional.cross_entropy(self.logits(), self.labels, reduction="none")

    @cached_property
    def gradients(self) -> Float[np.ndarray, "examples parameters"]:
        """The gradient of each example's loss in the weights: input times (softmax - onehot)."""
        errors = self.logits().softmax(-1) - torch.nn.functional.one_hot(self.labels, _CLASSES)
        outer = self.inputs.unsqueeze(2) * errors.unsqueeze(1)
        return outer.reshape(self.num_examples, -1).double().numpy()

    def known(self) -> dict[str, Any]:
        """A history, a label window, hold-out losses and labels, as `ExampleSampler` takes them."""
        history = History(self.num_examples)
        window = LabelWindow(self.num_examples, _CLASSES)
        everyone = torch.arange(self.num_examples)
        for round in range(self.rounds):
            logits = self.logits(noise=1.0, round=round)
            history.record(everyone, logits, self.labels)
            window.record(everyone, logits)
        holdout = np.linspace(0.1, 1.0, self.num_examples)
        return {
            "history": history,
            "label_window": window,
            "holdout_losses": holdout,
            "labels": self.labels.numpy(),
        }


def check_policy(policy: Policy, replicates: int = 1500) -> None:
    """Check a policy against the whole contract.

    Args:
        policy: The policy, in any wrapping.
        replicates: Epochs drawn for the expectations.

    Raises:
        AssertionError: A law is broken; the message names it.
    """
    example = Example()
    check_plan(policy, example)
    check_same_in_any_order(policy, example)
    check_resume(policy, example)
    check_no_side_effect(policy, example)
    check_objective(policy, example, replicates)


def make_sampler(policy: Policy, example: Example, **settings: Any) -> ExampleSampler:
    """A sampler with everything that a policy may read, in the middle of the training."""
    return ExampleSampler(
        example.num_examples, policy=policy, epochs=EPOCHS, **{**example.known(), **settings}
    )


def check_plan(policy: Policy, example: Example) -> None:
    """Indices in range, as many as announced; weights positive and finite."""
    for number in range(EPOCHS):
        plan, epoch = _plan(policy, example, number)
        assert plan.indices.dtype == np.int64, "indices are int64"
        assert len(plan.indices) > 0, "an epoch has at least one example"
        assert plan.indices.min() >= 0 and plan.indices.max() < example.num_examples, "indices are in range"
        assert policy.draws(epoch) in (None, len(plan.indices)), "draws() returns the length of the plan"
        if plan.weights is not None:
            assert plan.weights.shape == (example.num_examples,), "one weight per example of the training set"
            assert np.isfinite(plan.weights).all(), "weights are finite"
            assert (plan.weights > 0).all(), "weights are positive"


def check_same_in_any_order(policy: Policy, example: Example) -> None:
    """An epoch does not depend on what was planned before it; different epochs differ."""
    sampler = make_sampler(policy, example)
    orders = [_epoch(sampler, number) for number in (2, 3)]
    backwards = make_sampler(policy, example)
    assert [_epoch(backwards, number) for number in (3, 2)] == orders[::-1], (
        "an epoch does not depend on others"
    )
    assert orders[0] != orders[1], "epochs differ"
    assert _epoch(make_sampler(policy, example, seed=1), 2) != orders[0], "seeds differ"


def check_resume(policy: Policy, example: Example) -> None:
    """Stopped in mid-epoch and loaded into a new sampler whose history has changed: the same rest."""
    sampler = make_sampler(policy, example, batch_size=4)
    sampler.set_epoch(3)
    walk = iter(sampler)
    next(walk)
    next(walk, None)
    _choose(sampler, example)
    state = sampler.state_dict()
    rest, chosen = list(walk), _choose(sampler, example)

    later = make_sampler(policy, Example(rounds=9), batch_size=4)
    later.load_state_dict(state)
    again = list(later) if rest else []
    assert again == rest, "a resumed epoch continues with the same examples"
    assert not rest or torch.equal(_choose(later, example), chosen), "a resumed choice is the same"


def check_no_side_effect(policy: Policy, example: Example) -> None:
    """Neither the global generators nor the history change."""
    before = torch.get_rng_state(), _numpy_state()
    known = example.known()
    history = known["history"].mean("loss").clone()
    sampler = make_sampler(policy, example, batch_size=4, **known)
    list(sampler)
    _choose(sampler, example)
    assert torch.equal(torch.get_rng_state(), before[0]), "torch's global generator is unchanged"
    assert _numpy_state() == before[1], "NumPy's global generator is unchanged"
    assert torch.equal(known["history"].mean("loss"), history), "the history is unchanged"


def check_objective(policy: Policy, example: Example, replicates: int = 1500) -> None:
    """Expected weight one, halves alike, and the expected gradient the full one if the policy says so.

    Within 4 standard errors in every parameter for a policy that does not change the objective; beyond 6 in
    at least one for a policy that says it does, so that the flag cannot lie.
    """
    halves = weighted_counts(policy, example, replicates)
    if batch_policy(policy) is None:
        shift = halves[0] - halves[1]
        even = np.abs(shift.mean(0)) <= 5 * _standard_error(shift) + 1e-9
        assert even.all(), "the second half of an epoch is distributed like the first"
    totals = halves.sum(0)
    total = totals.sum(1)
    assert abs(total.mean() - 1) <= 4 * _standard_error(total) + 1e-9, "the weights' expected mean is one"
    estimates = totals @ example.gradients
    error = estimates.mean(0) - example.gradients.mean(0)
    standard = _standard_error(estimates) + 1e-9
    if policy.changes_objective:
        assert (np.abs(error) > 6 * standard).any(), (
            "changes_objective is True, but the gradient is the full one"
        )
    else:
        assert (np.abs(error) <= 4 * standard).all(), "changes_objective is False, but the gradient is biased"


def weighted_counts(
    policy: Policy, example: Example, replicates: int, number: int = 2
) -> Float[np.ndarray, "halves replicates examples"]:
    """What each example's gradient is multiplied by in an epoch's halves, over what the epoch represents.

    Of a policy that chooses within batches: in one step of 6 examples, the first of the epoch.
    """
    known = example.known()
    seen = Known(
        num_examples=example.num_examples,
        history=known["history"],
        label_window=known["label_window"],
        holdout_losses=known["holdout_losses"],
    )
    epoch = _epoch_record(example, number)
    values = policy.assess(seen, epoch)
    counts = np.zeros((2, replicates, example.num_examples))
    rng = generator(0, "conformance")
    for replicate in range(replicates):
        plan = policy.plan(values, epoch, rng)
        indices, weights, stands_for = _trained_on(policy, plan, values, example, rng)
        middle = (len(indices) + replicate % 2) // 2
        for half, part in enumerate((slice(None, middle), slice(middle, None))):
            counts[half, replicate] = np.bincount(indices[part], weights[part], example.num_examples)
        counts[:, replicate] /= stands_for
    return counts


def check_other_process(wanted: dict[str, dict[str, Any]]) -> None:
    """Policies of the registry plan the same epoch in another process.

    Args:
        wanted: The settings of each policy, by its name.

    Raises:
        AssertionError: A plan or a choice differs.
    """
    code = (
        "import sys, json; from headrace.policies.testing import fingerprints; "
        "print(json.dumps(fingerprints(json.loads(sys.argv[1]))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, json.dumps(wanted)], capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == fingerprints(wanted), "the plan is the same in another process"


def fingerprints(wanted: dict[str, dict[str, Any]]) -> dict[str, list[Any]]:
    """An epoch's order, its weights and a choice of each of these policies, as plain numbers."""
    example = Example()
    found: dict[str, list[Any]] = {}
    for name, settings in wanted.items():
        sampler = make_sampler(make_policy(name, **settings), example)
        order = _epoch(sampler, 2)
        weights = sampler.weights_for(torch.arange(example.num_examples)).tolist()
        found[name] = [order, weights, _choose(sampler, example).tolist()]
    return found


def _trained_on(
    policy: Policy, plan: Plan, values: np.ndarray | None, example: Example, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """The indices trained on, their weights, and how many examples they represent."""
    chooser = batch_policy(policy)
    if chooser is None or plan.candidates == 1:
        weights = np.ones(example.num_examples) if plan.weights is None else plan.weights
        stands_for = len(plan.indices) if plan.stands_for is None else plan.stands_for
        return plan.indices, weights[plan.indices], stands_for
    size = 6
    at = torch.from_numpy(plan.indices[: size * plan.candidates])
    assessed = None if values is None else torch.from_numpy(values)[at].float()
    ratings = chooser.rate(example.logits()[at], example.labels[at], example.losses[at], assessed)
    chosen, _ = chooser.pick(ratings, size, {}, rng)
    return at[chosen.positions].numpy(), chosen.weights.double().numpy(), size


def _plan(policy: Policy, example: Example, number: int) -> tuple[Plan, Epoch]:
    sampler = make_sampler(policy, example)
    sampler.set_epoch(number)
    return sampler.plan(), _epoch_record(example, number)


def _epoch_record(example: Example, number: int) -> Epoch:
    return Epoch(
        number=number, epochs=EPOCHS, num_examples=example.num_examples, labels=example.labels.numpy()
    )


def _epoch(sampler: ExampleSampler, number: int) -> list[int]:
    sampler.set_epoch(number)
    return list(sampler)


def _choose(sampler: ExampleSampler, example: Example) -> torch.Tensor:
    """The positions that the sampler's policy chooses of the first examples."""
    at = torch.arange(12)
    return sampler.choose(at, example.logits()[at], example.labels[at], example.losses[at]).positions


def _standard_error(draws: np.ndarray) -> Any:
    return draws.std(0, ddof=1) / np.sqrt(len(draws))


def _numpy_state() -> str:
    """The state of NumPy's global generator, which is read and not used."""
    return repr(np.random.get_state())  # noqa: NPY002
