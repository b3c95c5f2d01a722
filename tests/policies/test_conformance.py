"""Every policy holds the contract; a policy joins by its line."""

import pytest

from headrace.policies import ACTIVE_BIAS, POLICIES, Plan, RandomSubsets, Shuffle, make_policy
from headrace.policies.testing import Example, check_objective, check_other_process, check_plan, check_policy

SETTINGS = {"gradient-norm": {"always": True}}
VARIANTS = {
    "systematic": ("importance-difficulty", {"systematic": True}),
    "small epsilon": ("importance-threshold-closeness", {"epsilon": 0.01}),
    "per class": ("importance-difficulty", {"per_class": True}),
    "per class, dropping": ("infobatch", {"per_class": True}),
    "burnt in": ("sample-difficulty", {"burn_in_epochs": 1}),
    "refreshed": ("weight-difficulty", {"refresh_epochs": 2}),
    "annealed": ("sample-difficulty", {"annealing_epochs": 6}),
    "burnt in, by batch": ("rho-loss", {"burn_in_epochs": 2}),
    "beta": ("selective-backprop", {"beta": 2.0}),
    "off": ("gradient-norm", {}),
    "stripes": ("partition-stripes", {"burn_in_epochs": 1}),
    "blocks of variances": ("partition-blocks", {"score": "loss-variance", "burn_in_epochs": 2}),
}


@pytest.mark.parametrize("name", POLICIES)
def test_policy(name):
    check_policy(make_policy(name, **SETTINGS.get(name, {})))


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(variant):
    name, settings = VARIANTS[variant]
    check_policy(make_policy(name, **settings))


def test_all_policies_plan_the_same_in_another_process():
    check_other_process({name: SETTINGS.get(name, {}) for name in POLICIES})


def test_every_name_of_the_paper_is_a_policy():
    assert set(ACTIVE_BIAS.values()) <= set(POLICIES)
    assert {"SGD-Scan", "SGD-Uni", "SD", "SE", "SPV", "SPTC", "ISD", "WD", "WPTC"} <= set(ACTIVE_BIAS)


class Liar(Shuffle):
    changes_objective = True


class Hidden(RandomSubsets):
    def plan(self, values, epoch, rng):
        return Plan(indices=rng.permutation(epoch.num_examples - 20)[: self.draws(epoch)])


class Ordered(RandomSubsets):
    def plan(self, values, epoch, rng):
        plan = super().plan(values, epoch, rng)
        return Plan(indices=plan.indices[plan.indices.argsort()])


@pytest.mark.parametrize(
    ("policy", "law"),
    [
        (Liar(), "changes_objective is True, but the gradient is the full one"),
        (Hidden(), "changes_objective is False, but the gradient is biased"),
        (Ordered(), "the second half of an epoch is distributed like the first"),
    ],
)
def test_the_suite_catches(policy, law):
    with pytest.raises(AssertionError, match=law):
        check_objective(policy, Example(), 1000)


def test_the_suite_catches_wrong_lengths():
    class Longer(Shuffle):
        def draws(self, epoch):
            return epoch.num_examples + 1

    with pytest.raises(AssertionError, match="draws"):
        check_plan(Longer(), Example())
