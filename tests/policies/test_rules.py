"""The rules by hand: what each policy does with known values."""

import numpy as np
import pytest
import torch

from headrace.errors import InputError
from headrace.histories import LabelWindow
from headrace.policies import (
    Annealed,
    BurnIn,
    Epoch,
    Focal,
    GradientNorm,
    ImportanceSample,
    InfoBatch,
    OnlineBatchSelection,
    PerClass,
    RandomSubsets,
    RecencyBias,
    RhoLoss,
    Sample,
    SelectiveBackprop,
    SelfPaced,
    Shuffle,
    Weight,
    smoothed,
)
from headrace.policies.ranked import rank_odds
from headrace.policies.testing import Example, make_sampler
from headrace.random import generator
from headrace.sampling.plan import Known


def _epoch(number=0, num_examples=4, epochs=10, **known):
    return Epoch(number=number, epochs=epochs, num_examples=num_examples, **known)


def _shares(policy, values, epoch, draws=40_000):
    epoch = Epoch(number=epoch.number, epochs=epoch.epochs, num_examples=epoch.num_examples, size=draws)
    plan = policy.plan(values, epoch, generator(0, "shares"))
    return np.bincount(plan.indices, minlength=epoch.num_examples) / draws


def test_smoothing_adds_the_mean_and_fills_the_undefined():
    assert smoothed(np.array([0.0, 3.0, np.nan])).tolist() == [1.5, 4.5, 3.0]
    assert smoothed(np.array([0.0, 3.0]), epsilon=0.5).tolist() == [0.5, 3.5]
    assert smoothed(np.array([0.0, 0.0])).tolist() == [1.0, 1.0]
    assert smoothed(np.full(2, np.nan)).tolist() == [2.0, 2.0]
    with pytest.raises(InputError, match="score of example 1 is negative or infinite"):
        smoothed(np.array([1.0, -1.0]))


def test_sampling_weighing_and_importance_by_hand():
    values = np.array([0.0, 1.0, 2.0, 5.0])  # mean 2, so s = 2, 3, 4, 7 of sum 16
    shares = _shares(Sample("difficulty"), values, _epoch())
    assert shares == pytest.approx([2 / 16, 3 / 16, 4 / 16, 7 / 16], abs=0.01)
    rng = generator(0, "x")
    assert Weight("difficulty").plan(values, _epoch(), rng).weights.tolist() == [0.5, 0.75, 1.0, 1.75]
    weights = ImportanceSample("difficulty").plan(values, _epoch(), rng).weights
    assert weights == pytest.approx([4 / 2, 4 / 3, 4 / 4, 4 / 7])


def test_ranks_by_hand():
    odds = rank_odds(np.array([3.0, np.nan, 7.0, 1.0]), 16.0)
    assert odds.tolist() == [16 ** (-2 / 4), 1.0, 16 ** (-1 / 4), 16 ** (-3 / 4)]


def test_online_batch_selection_favours_large_losses_less_and_less():
    losses = np.array([1.0, 2.0, 3.0, 4.0])
    first, last = (_shares(OnlineBatchSelection(100.0), losses, _epoch(number)) for number in (0, 9))
    assert first[3] / first[0] == pytest.approx(100 ** (3 / 4), rel=0.2)
    assert last == pytest.approx([0.25] * 4, abs=0.01)
    with pytest.raises(InputError, match=r"epochs: online-batch-selection changes.*ExampleSampler\(epochs"):
        _shares(OnlineBatchSelection(), losses, _epoch(epochs=None))


def test_recency_bias_favours_uncertain_labels():
    shares = _shares(RecencyBias(100.0), np.array([0.0, 1.0, 0.5, np.nan]), _epoch(0))
    assert shares[1] / shares[0] == pytest.approx(100, rel=0.3)
    assert shares[2] / shares[0] == pytest.approx(10, rel=0.3)
    assert shares[3] == pytest.approx(shares[2], abs=0.02)


def test_recency_bias_knows_an_example_from_its_first_label_on():
    window = LabelWindow(3, 4, window=4)
    window.record(torch.tensor([1, 2, 2]), torch.eye(4)[[0, 1, 2]])
    values = RecencyBias().assess(Known(num_examples=3, label_window=window), _epoch(num_examples=3))
    # No label; one, so certain; two that differ, half of the most uncertain four.
    assert np.isnan(values[0])
    assert values[1:] == pytest.approx([0.0, 0.5])


def test_infobatch_by_hand():
    losses = np.array([0.0, 0.0, 0.0, 0.0, 10.0, np.nan])  # mean 2: four are below
    plan = InfoBatch(ratio=0.5).plan(losses, _epoch(num_examples=6), generator(0, "x"))
    assert len(plan.indices) == 4
    assert {4, 5} <= set(plan.indices.tolist())
    assert plan.weights.tolist() == [2.0] * 4 + [1.0, 1.0]
    assert plan.weights[plan.indices].sum() == plan.stands_for == 6
    late = InfoBatch(until=0.875).plan(losses, _epoch(9, 6), generator(0, "x"))
    assert sorted(late.indices) == list(range(6))
    assert late.weights is None
    assert len(InfoBatch(until=0.875).plan(losses, _epoch(8, 6), generator(0, "x")).indices) == 4


def test_self_paced_takes_the_easiest_and_more_of_them():
    losses = np.array([3.0, 1.0, 4.0, 2.0])
    policy = SelfPaced(start=0.5, full_at=0.5)
    taken = [set(policy.plan(losses, _epoch(n), generator(0, "x")).indices.tolist()) for n in (0, 3, 5, 9)]
    assert taken == [{1, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}]
    assert set(policy.plan(losses, _epoch(2), generator(0, "x")).indices.tolist()) == {0, 1, 3}


def test_focal_by_hand():
    weights = Focal(gamma=2.0).plan(np.array([0.5, 1.0, 0.0, 0.5]), _epoch(), generator(0, "x")).weights
    assert weights * 1.5 / 4 == pytest.approx([0.25, 1.0, 1e-6, 0.25], rel=1e-5)


def test_rs2_is_a_fresh_subset():
    plans = [
        RandomSubsets(0.5).plan(None, _epoch(num_examples=20), generator(0, n)).indices for n in range(9)
    ]
    assert all(len(set(plan.tolist())) == 10 for plan in plans)
    assert len(set(np.concatenate(plans).tolist())) == 20


def test_gradient_norm_by_hand():
    outputs = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    rated = GradientNorm().rate(outputs, torch.tensor([1, 1]), torch.zeros(2), None)
    assert rated.tolist() == pytest.approx([0.5**0.5, 2**0.5])
    ratings = torch.tensor([1.0, 3.0])
    chosen, _ = GradientNorm().pick(ratings, 40_000, {}, generator(0, "x"))
    assert chosen.positions.float().mean().item() == pytest.approx(0.75, abs=0.01)
    by_position = {int(p): float(w) for p, w in zip(chosen.positions, chosen.weights, strict=True)}
    assert by_position == pytest.approx({0: 2.0, 1: 2 / 3}, rel=1e-5)


def test_gradient_norm_is_on_where_it_pays():
    policy = GradientNorm(candidates=3)  # pays where sqrt(N sum g^2) > 2
    alike, rare = np.ones(100), np.full(100, 1e-3)
    rare[:4] = 1.0
    assert not policy.pays(alike)
    assert policy.pays(rare)
    assert not policy.pays(None)
    assert policy.plan(rare, _epoch(num_examples=100), generator(0, "x")).candidates == 3
    assert policy.plan(alike, _epoch(num_examples=100), generator(0, "x")).candidates == 1


def test_selective_backprop_prefers_large_losses_and_remembers_them():
    policy, rng = SelectiveBackprop(beta=2.0, window=6), generator(0, "x")
    counts, state = np.zeros(4), {}
    for _ in range(3000):
        chosen, state = policy.pick(torch.tensor([4.0, 1.0, 3.0, 2.0]), 1, state, rng)
        counts[int(chosen.positions)] += 1
    assert counts[0] > counts[2] > counts[3] > counts[1] > 0
    assert len(state["losses"]) == 6


def test_selective_backprop_ranks_among_the_latest_losses():
    latest = {"losses": torch.tensor([0.0] * 90)}
    policy = SelectiveBackprop(beta=8.0)
    kept = [
        int(policy.pick(torch.tensor([5.0, -1.0]), 1, latest, generator(0, n))[0].positions)
        for n in range(50)
    ]
    assert set(kept) == {0}
    assert SelectiveBackprop(beta=2.0).candidates == 3


def test_rho_loss_takes_the_largest_excess():
    policy = RhoLoss()
    rated = policy.rate(
        torch.zeros(3, 2), torch.zeros(3), torch.tensor([5.0, 2.0, 3.0]), torch.tensor([4.9, 0.0, 2.0])
    )
    chosen, _ = policy.pick(rated, 2, {}, generator(0, "x"))
    assert chosen.positions.tolist() == [1, 2]
    assert chosen.weights.tolist() == [1.0, 1.0]


def test_hold_out_losses_reach_the_choice_by_the_examples_index():
    example = Example()
    sampler = make_sampler(RhoLoss(candidates=2), example, batch_size=1, holdout_losses=np.arange(60.0))
    indices = torch.tensor([50, 3])
    list(sampler)
    chosen = sampler.choose(indices, torch.zeros(2, 3), torch.zeros(2).long(), torch.tensor([40.0, 5.0]))
    assert chosen.positions.tolist() == [1]  # 5 - 3 > 40 - 50


def test_burn_in_shuffles_and_asks_for_nothing():
    policy = BurnIn(Sample(lambda history: 1 / 0), epochs=2)
    assert policy.assess(None, _epoch(1)) is None
    assert sorted(policy.plan(None, _epoch(1), generator(0, "x")).indices) == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        policy.assess(type("K", (), {"history": None}), _epoch(2))


def test_refresh_keeps_the_values_for_its_epochs():
    given = {"values": np.array([1.0, 3.0])}
    from headrace.policies import Refreshed
    from headrace.sampling import ExampleSampler

    policy = Refreshed(Weight(lambda history: given["values"]), epochs=2)
    sampler = ExampleSampler(2, policy=policy, history=object())
    seen = []
    for number in range(5):
        given["values"] = np.array([1.0, 3.0 + 10 * number])
        iter(sampler)
        seen.append(float(sampler.plan().weights[1]))
        list(sampler)
    assert seen[0] == seen[1] != seen[2] == seen[3] != seen[4]


def test_annealing_ends_uniform_and_refuses_what_does_not_follow_its_values():
    values = np.array([0.0, 1.0, 2.0, 5.0])
    policy = Annealed(Weight(), epochs=4)
    weights = [policy.plan(values, _epoch(n), generator(0, "x")).weights for n in (0, 2, 4, 7)]
    assert weights[0].tolist() == [0.5, 0.75, 1.0, 1.75]
    assert weights[1].tolist() == [0.75, 0.875, 1.0, 1.375]
    assert weights[2].tolist() == weights[3].tolist() == [1.0] * 4
    with pytest.raises(InputError, match="InfoBatch: cannot be annealed"):
        Annealed(InfoBatch())


def test_per_class_keeps_the_share_of_each_class():
    labels = np.array([0, 1, 0, 1, 0, 0])
    values = np.array([9.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    plan = PerClass(Sample()).plan(values, _epoch(num_examples=6, labels=labels), generator(0, "x"))
    assert np.bincount(labels[plan.indices]).tolist() == [4, 2]
    weights = (
        PerClass(Weight()).plan(values, _epoch(num_examples=6, labels=labels), generator(0, "x")).weights
    )
    assert weights[labels == 1].tolist() == [1.0, 1.0]
    assert weights[labels == 0] == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])
    with pytest.raises(InputError, match="cannot be used per class"):
        PerClass(RhoLoss())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sample("hardness"), "unknown score to draw or weigh by; got 'hardness'"),
        (lambda: Sample("aum"), "unknown score to draw or weigh by; got 'aum'"),
        (lambda: Weight(epsilon=0.0), "Weight.epsilon: must be a finite number above 0"),
        (lambda: RandomSubsets(0.0), "rs2.share: must be a finite number above 0 and at most 1; got 0.0"),
        (lambda: InfoBatch(ratio=1.0), "infobatch.ratio: must be a finite number at least 0 and below 1"),
        (lambda: InfoBatch(until=2.0), "infobatch.until"),
        (lambda: SelfPaced(start=0.0), "self-paced.start"),
        (lambda: Focal(gamma=-1.0), "focal.gamma: must be a finite number above 0"),
        (lambda: OnlineBatchSelection(0.5), "pressure: must be a finite number at least 1"),
        (lambda: RhoLoss(1), "rho-loss.candidates: must be at least 2"),
        (lambda: SelectiveBackprop(beta=0.0), "selective-backprop.beta"),
        (lambda: BurnIn(Shuffle(), epochs=0), "BurnIn.epochs: must be at least 1"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_per_class_without_classes_is_the_policy_itself():
    values = np.array([0.5, 0.1, 0.9, 0.3])
    plain, wrapped = (p.plan(values, _epoch(), generator(0, "r")) for p in (Weight(), PerClass(Weight())))
    assert sorted(wrapped.indices) == sorted(plain.indices)
    assert wrapped.weights.tolist() == plain.weights.tolist()
    assert PerClass(Weight()).draws(_epoch()) == 4


@pytest.mark.parametrize("values", [None, np.full(4, np.nan)])
def test_online_batch_selection_draws_alike_while_no_loss_is_known(values):
    shares = _shares(OnlineBatchSelection(), values, _epoch())
    assert shares == pytest.approx([0.25] * 4, abs=0.01)
