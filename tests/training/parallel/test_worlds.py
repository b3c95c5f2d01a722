"""The same numbers at any number of workers, and what each worker keeps to itself."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.policies import POLICIES
from headrace.sampling.batches import Batch
from headrace.training.gradients import Gradients
from headrace.training.losses import cross_entropy
from headrace.training.parallel import Alone, VirtualWorld, World

from .worlds import BATCH, STEPS, Run, examples, network, stream

EXACT = 1e-9
GENERAL = ("sample", "importance-sample", "weight")
NAMES = [name for name in POLICIES if name not in GENERAL and not name.startswith("partition-")]
"""A policy that gives each worker examples of its own means to differ between numbers of workers."""


@cache
def alone(policy: str) -> Run:
    return Run(policy=policy)


def far(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("workers", [2, 3, 4])
@pytest.mark.parametrize("policy", NAMES)
def test_the_same_batches_and_parameters_for_every_policy(policy: str, workers: int) -> None:
    one, many = alone(policy), Run(VirtualWorld(workers), policy=policy)
    assert many.fed == one.fed
    assert many.trained_on == one.trained_on
    assert far(many.state, one.state) < EXACT
    for name in ("loss", "probability"):
        assert far(many.history.mean(name), one.history.mean(name)) < 1e-6
    for here, there in zip(many.measured, one.measured, strict=True):
        assert here.examples_forwarded == there.examples_forwarded
        assert here.metrics == pytest.approx(there.metrics, rel=1e-9)


def test_policies_differ_so_that_their_equality_says_something() -> None:
    states = {tuple(alone(policy).state.tolist()) for policy in NAMES}
    assert len(states) == len(NAMES)


@pytest.mark.parametrize("kind", ["plain", "dropout", "norm"])
def test_one_virtual_worker_is_one_worker(kind: str) -> None:
    assert Run(VirtualWorld(1, [stream(0, 1)]), kind=kind).state.equal(Run(kind=kind).state)


@pytest.mark.parametrize("kind", ["dropout", "norm"])
def test_dropout_and_batch_statistics_are_each_workers_own(kind: str) -> None:
    """So they differ between numbers of workers, repeatably."""
    worlds = [VirtualWorld(n, [stream(r, n) for r in range(n)]) for n in (2, 3, 2)]
    two, three, again = (Run(world, kind=kind).state for world in worlds)
    assert two.equal(again)
    assert far(two, three) > 1e-6 < far(two, Run(kind=kind).state)


@pytest.mark.parametrize("microbatch", [1, 2, 3])
def test_micro_batches_within_the_parts_change_nothing(microbatch: int) -> None:
    assert far(Run(VirtualWorld(3), microbatch=microbatch).state, alone("shuffle").state) < EXACT


def gradient(world: World, batch: Batch, model: nn.Module, microbatch: int | None = None) -> Tensor:
    parameters = list(model.parameters())
    Gradients(
        model=model,
        parameters=parameters,
        data=examples(),
        loss=cross_entropy,
        microbatch=microbatch,
        record=None,
        world=world,
    ).compute(batch)
    return torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])


@given(size=st.integers(1, 30), workers=st.integers(1, 6), weighted=st.booleans(), data=st.data())
def test_the_gradient_is_the_weighted_sum_over_the_global_batch(size, workers, weighted, data) -> None:
    """By hand from torch alone, for parts of any size: a mean of the workers' means would not be it."""
    workers = min(size, workers)
    cuts = sorted(data.draw(st.permutations(range(1, size)))[: workers - 1])
    sizes = tuple(b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True))
    rng = torch.Generator().manual_seed(size)
    indices = torch.randint(0, len(examples()), (size,), generator=rng)
    weights = torch.rand(size, generator=rng, dtype=torch.float64) if weighted else None
    found = gradient(
        VirtualWorld(workers), Batch(indices=indices, weights=weights, sizes=sizes), network("plain")
    )
    model = network("plain")
    inputs, targets = examples().fetch(indices)
    losses = nn.functional.cross_entropy(model(inputs), targets, reduction="none")
    ((1.0 if weights is None else weights) * losses).sum().div(size).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    assert far(found, expected) < 1e-14


def test_batch_statistics_by_hand() -> None:
    """Each part is normalised by its own mean, and the running mean that stays is worker 0's."""
    model, batch = network("norm"), Batch(indices=torch.arange(7))
    hidden = model[0](examples().inputs[:7]).detach()
    gradient(VirtualWorld(3), batch, model)
    assert model[1].running_mean.allclose(0.1 * hidden[:2].mean(0))
    assert int(model[1].num_batches_tracked) == 1


def test_the_parts_of_a_batch() -> None:
    indices = torch.arange(7)
    assert Batch(indices=indices).parts(3) == [slice(0, 2), slice(2, 4), slice(4, 7)]
    assert Batch(indices=indices, sizes=(1, 4, 2)).parts(3) == [slice(0, 1), slice(1, 5), slice(5, 7)]
    with pytest.raises(InputError, match="a batch of 7 cannot be shared by 8 workers"):
        Batch(indices=indices).parts(8)
    with pytest.raises(InputError, match="a batch of 7 cannot be shared by 3 workers"):
        Batch(indices=indices, sizes=(0, 4, 3)).parts(3)
    for sizes in ((3, 4), (1, 4, 1)):
        with pytest.raises(InputError, match="was cut for other than 3 workers"):
            Batch(indices=indices, sizes=sizes).parts(3)


def test_what_cannot_be_a_world() -> None:
    with pytest.raises(InputError, match="workers: must be at least 1; got 0"):
        VirtualWorld(0)
    with pytest.raises(InputError, match="streams: must be one for each of 2 workers; got 1"):
        VirtualWorld(2, [stream(0, 1)])


def test_alone_a_batch_is_one_part() -> None:
    batch = Batch(indices=torch.arange(BATCH))
    assert gradient(Alone(), batch, network("plain")).equal(
        gradient(VirtualWorld(1), batch, network("plain"))
    )
    assert 4 * len(examples()) < STEPS * BATCH
