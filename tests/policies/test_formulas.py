"""Policies that choose within batches against their formulas, and what is read of a history, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import History, LossHistory
from headrace.policies import (
    Epoch,
    Focal,
    GradientNorm,
    InfoBatch,
    OnlineBatchSelection,
    Partition,
    RhoLoss,
    SelectiveBackprop,
    SelfPaced,
    make_policy,
    smoothed,
)
from headrace.random import generator
from headrace.sampling.plan import Known

seeds = st.integers(0, 2**32)


class Given:
    """A generator whose numbers are known."""

    def __init__(self, numbers) -> None:
        self.numbers = np.asarray(numbers, dtype=np.float64)

    def random(self, size):
        assert size == len(self.numbers)
        return self.numbers


@settings(max_examples=100, deadline=None)
@given(seeds, st.sampled_from([2, 3, 5, 10]), st.floats(0.01, 6))
def test_gradient_norm_pays_exactly_where_the_paper_says(seed, candidates, spread):
    """With N the examples, B the candidates and b those trained on: sqrt(N sum g^2) > (B + 3 b) / (3 b)."""
    norms = np.exp(spread * generator(seed, "norms").normal(size=40))
    norms[:3] = [np.nan, 0, 0]
    g = np.where(np.isnan(norms), np.nanmean(norms), norms)
    g /= g.sum()
    b = 7
    pays = np.sqrt(len(g) * (g**2).sum()) > (candidates * b + 3 * b) / (3 * b)
    assert GradientNorm(candidates=candidates).pays(norms) == pays
    assert GradientNorm(candidates=candidates).pays(1e-3 * norms) == pays
    assert GradientNorm(candidates=candidates, always=True).pays(norms) is True


def test_gradient_norm_does_not_pay_where_it_saves_as_much_as_it_costs():
    assert not GradientNorm(candidates=3).pays(np.array([1.0, 0, 0, 0]))  # twice, and twice the cost
    assert GradientNorm(candidates=3).pays(np.array([1.0, 0, 0, 0, 0]))
    for nothing in (np.zeros(4), np.full(4, np.nan), None):
        assert GradientNorm().pays(nothing) is False


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 5), st.integers(1, 9))
def test_gradient_norm_rates_by_the_distance_to_the_right_answer(seed, classes, batch):
    rng = generator(seed, "outputs")
    outputs, targets = rng.normal(size=(batch, classes)), rng.integers(classes, size=batch)
    shares = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    expected = np.linalg.norm(shares - np.eye(classes)[targets], axis=1)
    rated = GradientNorm().rate(torch.tensor(outputs), torch.tensor(targets), torch.zeros(batch), None)
    assert rated.numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        ((4,), torch.zeros(4).long(), r"outputs \[batch, classes\].*got \(4,\)"),
        ((4, 3, 2), torch.zeros(4).long(), r"outputs \[batch, classes\]"),
        ((4, 3), torch.zeros(4, 3), r"got \(4, 3\)"),
        ((4, 3), torch.zeros(3).long(), r"got \(3,\)"),
        ((4, 3), [0, 1, 2, 0], "got 'list'"),
        ((6, 3), torch.tensor([0, 2, 3, -1, 9, 1]), "must be from 0 to 2; got 3"),
        ((3, 3), torch.tensor([0, -1, 0]), "must be from 0 to 2; got -1"),
    ],
)
def test_gradient_norm_refuses_what_are_not_classes(outputs, targets, message):
    with pytest.raises(InputError, match=message):
        GradientNorm().rate(torch.zeros(outputs), targets, torch.zeros(outputs[0]), None)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 12), st.integers(1, 12))
def test_gradient_norm_draws_by_the_sums_of_its_ratings(seed, batch, count):
    rng = generator(seed, "ratings")
    ratings, numbers = rng.integers(0, 4, size=batch).astype(float), rng.random(count)
    odds = ratings + ratings.mean() * 1e-6 + 1e-30
    expected = [int(np.flatnonzero(np.cumsum(odds) > u * odds.sum())[0]) for u in numbers]
    chosen, state = GradientNorm().pick(torch.tensor(ratings), count, {}, Given(numbers))
    assert chosen.positions.tolist() == expected
    assert chosen.weights.numpy() == pytest.approx(odds.mean() / odds[expected], rel=1e-9)
    assert state == {}


def test_a_draw_that_rounds_to_one_is_the_last_candidate():
    chosen, _ = GradientNorm().pick(torch.ones(3), 2, {}, Given([0.0, 1 - 1e-12]))
    assert chosen.positions.tolist() == [0, 2]


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(1, 12), st.integers(0, 9), st.integers(1, 14), st.sampled_from([0.5, 1.0, 3.0]))
def test_selective_backprop_keeps_the_smallest_u_over_p(seed, batch, before, window, beta):
    """P is the share of the latest losses, with the batch's own, that are not above, to the power beta."""
    rng = generator(seed, "losses")
    ratings = rng.integers(0, 6, size=batch).astype(float)
    earlier, numbers = rng.integers(0, 6, size=before).astype(float), rng.random(batch)
    latest = np.concatenate([earlier, ratings])[-window:]
    shares = np.array([max((latest <= rating).sum(), 1) / len(latest) for rating in ratings])
    expected = np.argsort(numbers / shares**beta)
    count = int(rng.integers(1, batch + 1))
    state = {"losses": torch.tensor(earlier)} if before else {}
    policy = SelectiveBackprop(beta=beta, window=window)
    chosen, after = policy.pick(torch.tensor(ratings), count, state, Given(numbers))
    assert chosen.positions.tolist() == expected[:count].tolist()
    assert chosen.weights.tolist() == [1.0] * count
    assert after["losses"].tolist() == latest.tolist()


def test_rates_are_the_losses_and_what_exceeds_the_hold_out():
    losses, held = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([0.5, 3.0, 1.0])
    assert SelectiveBackprop().rate(None, None, losses, held).tolist() == [1.0, 2.0, 5.0]
    assert RhoLoss().rate(None, None, losses, held).tolist() == [0.5, -1.0, 4.0]
    assert RhoLoss().rate(None, None, losses, None).tolist() == [1.0, 2.0, 5.0]
    known = Known(num_examples=3, holdout_losses=held.numpy())
    assert RhoLoss().assess(known, Epoch(number=0, num_examples=3)).tolist() == held.tolist()


def observed(counts: list[int]) -> LossHistory:
    """Example i was observed so often, the n-th time with the loss 10 i + n."""
    history = LossHistory(len(counts))
    for number in range(max(counts)):
        seen = torch.tensor([i for i, count in enumerate(counts) if count > number])
        history.record(seen, (10 * seen + number + 1).double())
    return history


@pytest.mark.parametrize(
    "policy", [InfoBatch(), SelfPaced(), OnlineBatchSelection()], ids=lambda p: type(p).__name__
)
def test_the_last_loss_is_known_from_the_first_observation_on(policy):
    known = Known(num_examples=4, history=observed([0, 1, 2, 3]))
    values = policy.assess(known, Epoch(number=1, num_examples=4, epochs=3))
    assert np.isnan(values[0])
    assert values[1:].tolist() == [11.0, 22.0, 33.0]


def test_partitions_put_what_was_not_observed_at_the_mean():
    at = Epoch(number=3, num_examples=4)
    values = Partition("blocks").assess(Known(num_examples=4, history=observed([0, 1, 2, 3])), at)
    assert values.tolist() == [(11 + 21.5 + 32) / 3, 11.0, 21.5, 32.0]
    own = Partition("blocks", lambda history: torch.tensor([7.0, 1.0, 2.0, 6.0]))
    assert own.assess(Known(num_examples=4, history=observed([0, 1, 2, 3])), at).tolist() == [
        3.0,
        1.0,
        2.0,
        6.0,
    ]
    with pytest.raises(InputError, match="no example was observed yet"):
        own.assess(Known(num_examples=4, history=LossHistory(4)), at)
    assert own.assess(Known(num_examples=4, history=observed([1, 1, 1, 1])), at).tolist() == [
        7.0,
        1.0,
        2.0,
        6.0,
    ]
    variance = Partition("blocks", "loss-variance")
    assert variance.assess(Known(num_examples=4, history=observed([2, 2, 3, 3])), at).shape == (4,)
    with pytest.raises(
        InputError, match=r"needs 2 observations, but 2 examples \(first 1\) have fewer; got 1"
    ):
        variance.assess(Known(num_examples=4, history=observed([2, 1, 3, 0])), at)


def test_recency_knows_an_example_from_one_label_on():
    from headrace.histories import LabelWindow
    from headrace.policies import RecencyBias

    window = LabelWindow(2, 3)
    window.record(torch.tensor([1]), torch.eye(3)[[2]])
    values = RecencyBias().assess(Known(num_examples=2, label_window=window), Epoch(number=0, num_examples=2))
    assert np.isnan(values[0])
    assert values[1] == 0


def test_focal_takes_shares_within_nought_and_one():
    at, rng = Epoch(number=0, num_examples=4), generator(0, "plan")
    outside = Focal(gamma=1.0).plan(np.array([1.5, 1.0, 0.5, -0.2]), at, rng).weights
    within = Focal(gamma=1.0).plan(np.array([1.0, 1.0, 0.5, 0.0]), at, rng).weights
    assert outside.tolist() == within.tolist()
    assert Focal().plan(np.zeros(4), at, rng).weights.tolist() == [1.0] * 4
    assert (within / within[0]).tolist() == pytest.approx([1, 1, 0.5, 1e-6], rel=1e-9)


@pytest.mark.parametrize(
    ("scores", "example", "got"),
    [
        ([0.0, 1.0, -0.5, -2.0, 3.0], 2, "-0.5"),
        ([0.0, np.inf, -1.0, np.inf], 1, "inf"),
        ([0.0, 0.5, 0.2, -1e-9, -1.0, 1.0], 3, "-1e-09"),
    ],
)
def test_no_odds_are_negative_or_infinite(scores, example, got):
    with pytest.raises(InputError, match=f"score of example {example} is negative or infinite.*got {got}"):
        smoothed(np.array(scores))


def test_smoothing_adds_what_it_is_given_and_only_above_nought():
    assert smoothed(np.array([0.0, 3.0]), epsilon=1e-3).tolist() == [1e-3, 3.001]
    assert smoothed(np.array([0.0, 0.0]), epsilon=2.0).tolist() == [2.0, 2.0]
    assert smoothed(np.array([0.0, 0.5]), epsilon=None).tolist() == [0.25, 0.75]
    for epsilon in (0, -0.5):
        with pytest.raises(InputError, match="epsilon"):
            smoothed(np.array([0.0, 3.0]), epsilon=epsilon)


def test_numbers_below_nought_are_called_negative():
    with pytest.raises(InputError, match="burn_in_epochs: must not be negative; got -1"):
        make_policy("shuffle", burn_in_epochs=-1)
    with pytest.raises(InputError, match=r"selective-backprop\.candidates: must not be negative; got -1"):
        SelectiveBackprop(candidates=-1)


def test_scores_read_a_history_under_either_name():
    from headrace.policies._values import score

    history = History(3)
    history.record(
        torch.arange(3), torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.5, 0.0]]), torch.tensor([0, 0, 1])
    )
    for name in ("last-loss", "mean-loss"):
        assert score(name, history).tolist() == score(name.replace("-", "_"), history).tolist()
        assert score(name, history).dtype == np.float64
        assert score(name, history).tolist() == pytest.approx(history.mean("loss").tolist())
