"""The own-loop example runs with every policy by name, and adds no more lines than it promises."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from headrace import ExampleSampler, History
from headrace.policies import ACTIVE_BIAS, POLICIES, make_policy

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_loop.py"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(EXAMPLE))["main"]


@pytest.mark.parametrize("policy", POLICIES)
def test_it_learns_with_every_policy(main, policy, capsys):
    # rho-loss trains on a tenth of what it forwards: 50 steps in all.
    assert main(policy) < 0.2
    assert policy in capsys.readouterr().out


def test_it_takes_the_names_of_the_paper(main, capsys):
    assert main("WPV") == main(ACTIVE_BIAS["WPV"])


def test_policies_differ_in_what_they_train(main, capsys):
    """Were the policy or its weights not used, the errors would be equal."""
    errors = {name: main(name) for name in ("shuffle", "weight-difficulty", "rho-loss", "recency-bias")}
    assert len(set(errors.values())) > 2


def test_at_most_ten_lines_are_added():
    marked = [line for line in EXAMPLE.read_text().splitlines() if "# headrace" in line and "`" not in line]
    replaced = [line for line in marked if "instead of" in line]
    assert len(marked) - len(replaced) <= 10
    body = EXAMPLE.read_text().split("def main")[1].split("def new_model")[0]
    unmarked = [line for line in body.splitlines() if "# headrace" not in line]
    assert not [line for line in unmarked if "headrace" in line or "sampler" in line or "history" in line]


def batch_of(sampler, inputs, targets):
    index = torch.tensor(next(iter(sampler)))
    return index, inputs[index], targets[index]


def test_narrowing_forwards_only_for_policies_that_choose():
    inputs, targets = torch.randn(64, 3), torch.arange(64) % 2
    history = History(64)
    history.record(torch.arange(64), torch.randn(64, 2), targets)

    def never(_):
        raise AssertionError

    sampler = ExampleSampler(64, policy=make_policy("weight-difficulty"), history=history, batch_size=8)
    index, x, y = batch_of(sampler, inputs, targets)
    kept, kept_x, kept_y, weights = sampler.narrow(index, x, y, never, never)
    assert kept.equal(index) and kept_x.equal(x) and kept_y.equal(y)
    assert weights.equal(sampler.weights_for(index)) and weights.std() > 0


def test_narrowing_keeps_index_input_and_target_together():
    inputs, targets = torch.randn(64, 3), torch.arange(64)
    losses = torch.randn(64)
    sampler = ExampleSampler(
        64, policy=make_policy("rho-loss", candidates=4), holdout_losses=-losses, batch_size=8
    )
    index, x, y = batch_of(sampler, inputs, targets)
    model = nn.Linear(3, 64)
    kept, kept_x, kept_y, weights = sampler.narrow(index, x, y, model, lambda outputs, _: outputs.sum(1) * 0)
    assert kept.tolist() == index[losses[index].topk(8).indices].tolist()
    assert kept_x.equal(inputs[kept]) and kept_y.equal(kept) and (weights == 1).all()
