"""Which members are stacked, what is fetched for which, and what progress and features are when."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from headrace.ensembles import EnsembleStatistics, inference, predict_members, score_members
from headrace.ensembles.features import embed, last_layer
from headrace.errors import InputError
from headrace.training.data import TensorData

from .test_members import Branching, Images, build_cnn, build_mlp, gather, make, one_by_one


class Deep(nn.Module):
    """A convolution somewhere within."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Sequential(nn.Conv1d(1, 1, 1)), nn.Flatten())


@pytest.mark.parametrize(
    ("model", "device", "pays"),
    [
        (build_mlp(), "cpu", True),
        (build_cnn(), "cpu", False),
        (Deep(), "cpu", False),
        (build_cnn(), "cuda", True),
    ],
    ids=["mlp", "cnn", "deep", "cnn on a device"],
)
def test_stacking_pays_on_accelerators_and_without_convolutions(model, device, pays) -> None:
    assert inference._pays(model, torch.device(device)) is pays


@pytest.mark.parametrize(
    ("stacked", "groups"), [(None, [3]), (True, [2, 3]), (False, [])], ids=["by rule", "on", "off"]
)
def test_groups_of_one_architecture_are_stacked_where_asked(
    tmp_path: Path, monkeypatch, stacked, groups
) -> None:
    seen: list[int] = []
    real = inference._stack

    def noted(models, chunk):
        seen.append(len(models))
        return real(models, chunk)

    monkeypatch.setattr(inference, "_stack", noted)
    members = [*make(tmp_path, build_cnn, 2, "cnn"), *make(tmp_path, build_mlp, 3, "mlp")]
    members += make(tmp_path, build_cnn, 1, "alone")
    torch.testing.assert_close(gather(members, stacked=stacked), one_by_one(members), atol=1e-6, rtol=0)
    assert seen == groups


def test_what_cannot_be_stacked_is_tried_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    members = make(tmp_path, Branching, 2, "m")
    with caplog.at_level(logging.INFO, logger="headrace"):
        gather(members, batch_size=2, stacked=True)
    assert sum("cannot be stacked" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("start", "stop", "batch"), [(0, None, 4), (3, 7, 4), (3, 7, 2), (10, 11, 9), (0, 0, 4)]
)
def test_batches_are_those_of_the_examples_asked_for(tmp_path: Path, start, stop, batch) -> None:
    members = make(tmp_path, build_mlp, 2, "m")
    parts = list(predict_members(members, Images(), batch_size=batch, start=start, stop=stop))
    ends = [*range(start, 11 if stop is None else stop, batch), 11 if stop is None else stop]
    assert [part.start for part in parts] == ends[:-1]
    assert [part.probabilities.shape[1] for part in parts] == [b - a for a, b in itertools.pairwise(ends)]
    for part in parts:
        rows = slice(part.start, part.start + part.probabilities.shape[1])
        torch.testing.assert_close(part.probabilities, one_by_one(members)[:, rows], atol=1e-6, rtol=0)


def test_yes_and_no_is_a_sigmoid(tmp_path: Path) -> None:
    members = make(tmp_path, build_mlp, 1, "m")
    found = torch.cat([p.probabilities for p in predict_members(members, Images(), multilabel=True)], 1)
    with torch.no_grad():
        torch.testing.assert_close(found[0], members[0].load()(Images.inputs).sigmoid())


def test_progress_counts_examples_of_members_from_nothing_to_all(tmp_path: Path) -> None:
    members = make(tmp_path, build_mlp, 3, "m")
    told: list[tuple[int, int]] = []
    statistics = EnsembleStatistics(11, 3)
    score_members(
        members,
        Images(),
        statistics,
        start=2,
        stop=9,
        batch_size=4,
        progress=lambda *told_: told.append(told_),
    )
    assert told == [(12, 21), (21, 21)]
    assert statistics.members.tolist() == [0, 0, *[3] * 7, 0, 0]
    again: list[tuple[int, int]] = []
    score_members(members[:2], Images(), statistics, progress=lambda *told_: again.append(told_))
    assert again == [(4, 8), (8, 8)]
    score_members(members[:2], Images(), statistics, progress=lambda *_: pytest.fail("all was there"))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_features_of_any_number_of_examples_in_batches_of_any_size(count: int) -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    inputs = torch.randn(count, 4, generator=torch.Generator().manual_seed(count))
    data = TensorData(inputs, torch.zeros(count).long())
    with torch.no_grad():
        features, shares = model[:2](inputs), model(inputs).double().softmax(1)
    for batch in (1, 2, 4, 100):
        found = embed(model, data, batch_size=batch)
        assert found.features == pytest.approx(features.numpy(), rel=1e-5, abs=1e-7)
        assert found.probabilities == pytest.approx(shares.numpy(), rel=1e-5)
    assert not any(layer._forward_pre_hooks for layer in model.modules())


class Fails(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.layer(inputs)
        raise ZeroDivisionError


def test_a_model_that_fails_is_left_as_it_was() -> None:
    model = Fails().train()
    for call in (
        lambda: embed(model, TensorData(torch.zeros(3, 4), torch.zeros(3))),
        lambda: last_layer(model, torch.zeros(3, 4)),
    ):
        with pytest.raises(ZeroDivisionError):
            call()
        assert model.training
        assert not model.layer._forward_pre_hooks


def test_the_last_of_several_layers_of_the_right_width_is_the_head() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 7), nn.Linear(7, 3), nn.ReLU())
    assert last_layer(model, torch.zeros(2, 3)) is model[3]
    with pytest.raises(InputError, match="no linear layer"):
        last_layer(nn.Sequential(nn.Linear(3, 4), nn.Flatten(0)), torch.zeros(2, 3))


def test_what_can_be_stacked_is_run_together(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said of running one after another, and the numbers are those of each alone."""
    models = [nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)) for _ in range(4)]
    inputs = torch.randn(6, 3)
    with caplog.at_level(logging.INFO, logger="headrace"):
        for chunk in (1, 3, 4):
            found = inference._stack(models, chunk)(inputs)
            assert isinstance(found, torch.Tensor)
            torch.testing.assert_close(found, torch.stack([model(inputs) for model in models]))
    assert not caplog.records
