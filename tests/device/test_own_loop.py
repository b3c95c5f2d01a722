"""A loop of one's own on an accelerator: what a step calls neither mixes devices nor waits for one."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from headrace import ExampleSampler, History, LossHistory
from headrace.errors import InputError
from headrace.histories import SCORES, LabelWindow, smoothed
from headrace.policies import POLICIES, make_policy
from headrace.random import generator
from headrace.sampling import draw_with_replacement, draw_without_replacement, partition

from .pretend import DEVICE, NAME

N, FEATURES, CLASSES, BATCH, EPOCHS = 48, 5, 3, 8, 4
SETTINGS = {"gradient-norm": {"always": True}, "rho-loss": {"candidates": 3}}
FORMS = {"growing": {}, "windowed": {"window": 3}, "fading": {"decay": 0.9}}


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(count: int) -> torch.Tensor:
    return torch.arange(count) % CLASSES


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_feeds_it_and_only_the_first_step_of_an_epoch_waits(policy, device):
    history, window = History(N, device=NAME), LabelWindow(N, CLASSES, device=DEVICE)
    sampler = ExampleSampler(
        N,
        policy=make_policy(policy, **SETTINGS.get(policy, {})),
        batch_size=BATCH,
        epochs=EPOCHS,
        history=history,
        label_window=window,
        holdout_losses=numbers(N, seed=1).abs().to(DEVICE),
    )
    inputs, targets = numbers(N, FEATURES).to(DEVICE), classes(N).to(DEVICE)
    model = nn.Linear(FEATURES, CLASSES).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    each_loss = nn.CrossEntropyLoss(reduction="none")
    steps = 0
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for number, batch in enumerate(sampler):
            index = torch.tensor(batch).to(DEVICE, non_blocking=True)
            with device.step() if number else nullcontext():
                x, y = inputs.index_select(0, index), targets.index_select(0, index)
                index, x, y, weights = sampler.narrow(index, x, y, model, each_loss)
                outputs = model(x)
                history.record(index, outputs, y)
                window.record(index, outputs)
                optimizer.zero_grad()
                (weights * each_loss(outputs, y)).mean().backward()
                optimizer.step()
            steps += 1
    assert steps > EPOCHS
    assert history.count.sum().item() > 0


def batches(repeats: int = 4):
    """Batches with examples that occur up to three times, and rows that do not count."""
    for step in range(repeats):
        index = torch.tensor([0, 5, 5, 2, 5, step, N - 1, 7])
        keep = torch.tensor([True] * 6 + [step % 2 == 0, True])
        yield index, 3 * numbers(BATCH, CLASSES, seed=step), classes(BATCH), keep


@pytest.mark.parametrize("form", FORMS)
def test_a_history_holds_what_one_on_the_host_holds(form, device):
    host, there = History(N, **FORMS[form]), History(N, device=DEVICE, **FORMS[form])
    for index, logits, targets, keep in batches():
        host.record(index, logits, targets, keep=keep)
        moved = [value.to(DEVICE) for value in (index, logits, targets, keep)]
        with device.step():
            there.record(*moved[:3], keep=moved[3])
    for name, score in SCORES.items():
        assert np.allclose(score(there), score(host), atol=1e-5), name
    assert torch.equal(there.count.cpu(), host.count)
    assert torch.allclose(there.last_loss().cpu(), host.last_loss(), atol=1e-5)
    assert score.hardness(there).device == DEVICE
    assert torch.allclose(
        smoothed(SCORES["mean_loss"].tensor(there)).cpu(),
        smoothed(SCORES["mean_loss"].tensor(host)),
        atol=1e-5,
    )


@pytest.mark.parametrize("form", FORMS)
def test_losses_are_recorded_likewise(form, device):
    host, there = LossHistory(N, **FORMS[form]), LossHistory(N, device=DEVICE, **FORMS[form])
    for index, logits, targets, keep in batches():
        losses = functional.cross_entropy(logits, targets, reduction="none")
        host.record(index, losses, keep=keep)
        moved = [value.to(DEVICE) for value in (index, losses, keep)]
        with device.step():
            there.record(*moved[:2], keep=moved[2])
    assert torch.allclose(there.mean("loss").cpu(), host.mean("loss"), atol=1e-6)
    assert torch.allclose(there.variance("loss").cpu(), host.variance("loss"), atol=1e-6)


def test_indices_and_targets_of_the_host_are_moved_without_waiting(device):
    history = History(N, device=DEVICE)
    for index, logits, targets, keep in batches():
        outputs = logits.to(DEVICE)
        with device.step():
            history.record(index, outputs, targets, keep=keep)
    assert history.count.sum().item() > 0


def test_what_is_out_of_range_is_reported_when_the_history_is_read(device):
    history = History(N, device=DEVICE)
    logits = numbers(2, CLASSES).to(DEVICE)
    with device.step():
        history.record(torch.tensor([1, N]), logits, torch.tensor([0, 1]))
    with pytest.raises(InputError, match="out of range"):
        history.check()
    history.check()
    assert history.count.tolist() == [0, 1, *[0] * (N - 2)]


def test_outputs_on_another_device_than_the_history_are_refused(device):
    with pytest.raises(InputError, match="device"):
        History(N).record(torch.tensor([1]), numbers(1, CLASSES).to(DEVICE), torch.tensor([0]))


def test_labels_are_those_of_the_host(device):
    host, there = LabelWindow(N, CLASSES, window=3), LabelWindow(N, CLASSES, window=3, device=NAME)
    for index, logits, _, _ in batches():
        host.record(index, logits)
        outputs = logits.to(DEVICE)
        with device.step():
            there.record(index, outputs)
    assert torch.equal(there.most_frequent().cpu(), host.most_frequent())
    assert torch.allclose(there.entropy().cpu(), host.entropy())
    again = LabelWindow(N, CLASSES, window=3, device=DEVICE)
    again.load_state_dict(there.state_dict())
    assert torch.equal(again.count.cpu(), host.count)


@pytest.mark.parametrize("form", FORMS)
def test_a_history_is_saved_loaded_moved_and_merged_on_any_device(form, device, tmp_path):
    there = History(N, device=DEVICE, **FORMS[form])
    for index, logits, targets, keep in batches():
        there.record(index, logits.to(DEVICE), targets, keep=keep)
    there.save(tmp_path / "history.safetensors")
    host = History.load(tmp_path / "history.safetensors")
    back = History.load(tmp_path / "history.safetensors", device=DEVICE)
    assert (host.device.type, back.device) == ("cpu", DEVICE)
    assert torch.equal(host.table.tensor, back.table.tensor.cpu())
    assert torch.equal(back.merge(host).count.cpu(), 2 * host.count)
    assert torch.equal(host.to(NAME).table.tensor.cpu(), there.table.tensor.cpu())
    there.to_parquet(tmp_path / "history.parquet")
    fresh = History(N, device=DEVICE, **FORMS[form])
    fresh.load_state_dict(there.state_dict())
    assert torch.equal(fresh.table.tensor.cpu(), there.table.tensor.cpu())


def test_a_sampler_takes_scores_and_labels_of_the_device(device):
    weights = numbers(N).abs()
    there = ExampleSampler(weights.to(DEVICE), batch_size=BATCH)
    assert list(there) == list(ExampleSampler(weights, batch_size=BATCH))
    history = LossHistory(N)
    history.record(torch.arange(N), weights)
    settings = {"policy": make_policy("sample", "mean-loss", per_class=True), "batch_size": BATCH}
    host = ExampleSampler(N, labels=classes(N), history=history, **settings)
    expected = list(host)
    there = ExampleSampler(N, labels=classes(N).to(DEVICE), history=history.to(DEVICE), **settings)
    assert list(there) == expected


def test_what_is_drawn_or_shared_by_weights_of_the_device_is_the_same(device):
    weights = numbers(N).abs()
    for draw in (
        lambda given: draw_with_replacement(given, 20, generator(0, "draw")),
        lambda given: draw_without_replacement(given, 20, generator(0, "draw")),
        lambda given: np.concatenate(partition(given, 3, "stripes")),
    ):
        assert draw(weights.to(DEVICE)).tolist() == draw(weights).tolist() == draw(weights.tolist()).tolist()


@pytest.mark.parametrize("kind", [History, LossHistory])
def test_a_history_that_moves_to_the_device_checks_there_what_it_is_given(kind, device):
    history = kind(N).to(DEVICE)
    assert history.device.type == NAME.partition(":")[0]
    give = (
        (numbers(2, CLASSES).to(DEVICE), classes(2).to(DEVICE))
        if kind is History
        else (numbers(2).to(DEVICE),)
    )
    history.record(torch.tensor([1, 2]).to(DEVICE), *give)
    history.check()
    assert history.count.cpu().sum() == 2
    history.record(torch.tensor([1, N]).to(DEVICE), *give)
    with pytest.raises(InputError, match=r"out of range|outside"):
        history.check()
