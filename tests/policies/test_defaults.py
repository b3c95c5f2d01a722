"""What a policy does if nothing is said: experiments that leave a setting out must mean the same for ever."""

from __future__ import annotations

import inspect
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from headrace.errors import InputError
from headrace.policies import POLICIES, Annealed, BurnIn, Refreshed, SelectiveBackprop
from headrace.policies._values import filled, score

DEFAULTS = {
    "Shuffle": {},
    "Uniform": {},
    "Sample": {"score": "difficulty", "epsilon": None, "systematic": False},
    "ImportanceSample": {"score": "difficulty", "epsilon": None, "systematic": False},
    "Weight": {"score": "difficulty", "epsilon": None},
    "GradientNorm": {"candidates": 3, "always": False},
    "SelectiveBackprop": {"beta": 1.0, "candidates": 0, "window": 1024},
    "OnlineBatchSelection": {"pressure": 100.0},
    "RhoLoss": {"candidates": 10},
    "InfoBatch": {"ratio": 0.5, "until": 0.875},
    "RecencyBias": {"pressure": 100.0},
    "SelfPaced": {"start": 0.5, "full_at": 0.5},
    "Focal": {"gamma": 2.0},
    "RandomSubsets": {"share": 0.3},
    "Partition": {"heuristic": "stripes", "score": "mean-loss"},
    "RandomPartition": {},
    "Annealed": {"epochs": 10},
    "BurnIn": {"epochs": 1},
    "Refreshed": {"epochs": 1},
}


def test_the_defaults_are_those_of_the_papers_and_stay():
    makers = [entry.find() for entry in POLICIES.values()]
    made = {maker.func if isinstance(maker, partial) else maker for maker in makers}
    found = {
        maker.__name__: {
            name: parameter.default
            for name, parameter in inspect.signature(maker).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        for maker in {*made, Annealed, BurnIn, Refreshed}
    }
    assert found == DEFAULTS
    assert {name: dict(entry.wrapped) for name, entry in POLICIES.items() if entry.wrapped} == {
        "partition-stripes": {"burn_in_epochs": 3},
        "partition-blocks": {"burn_in_epochs": 3},
    }


@pytest.mark.parametrize(("beta", "candidates"), [(0.2, 2), (1.0, 2), (2.0, 3), (3.4, 4)])
def test_selective_backprop_has_candidates_for_its_beta(beta, candidates):
    assert SelectiveBackprop(beta=beta).candidates == candidates
    assert SelectiveBackprop(beta=beta, candidates=7).candidates == 7
    with pytest.raises(InputError, match="at least 2"):
        SelectiveBackprop(beta=beta, candidates=1)


def history_of(probabilities: list[float]) -> SimpleNamespace:
    """A history of these mean probabilities, each of one observation."""
    values = torch.tensor(probabilities)
    return SimpleNamespace(count=torch.ones_like(values), mean=lambda quantity: values)


def test_what_rounding_leaves_below_zero_is_zero_and_nothing_else_is():
    found = score("difficulty", history_of([1 + 2e-6, 1.0, 0.25, 1 + 1e-3, 1.5]))
    assert found.tolist()[:3] == [0.0, 0.0, 0.75]
    assert found[3:] == pytest.approx([-1e-3, -0.5], rel=1e-3)


def test_what_is_not_defined_gets_the_mean_of_what_is():
    nan = float("nan")
    assert filled(torch.tensor([1.0, nan, 4.0]).numpy()).tolist() == [1.0, 2.5, 4.0]
    assert filled(torch.tensor([nan, nan]).numpy()).tolist() == [1.0, 1.0]
