"""Ensembles on an accelerator: members, statistics, acquisition and features, as on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ensembles.test_statistics import assert_scores, brute_force, members_of
from headrace import selection
from headrace.ensembles import (
    EnsembleStatistics,
    Member,
    acquisition,
    as_chunks,
    predict_members,
    score_chunks,
    score_members,
)
from headrace.ensembles.features import embed
from headrace.errors import InputError
from headrace.random import generator, torch_stream
from headrace.training.data import TensorData

from .pretend import DEVICE, NAME, Pretend

N, FEATURES, CLASSES = 23, 6, 3


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, CLASSES))


def build_convolution() -> nn.Module:
    layers = [nn.Unflatten(1, (1, FEATURES)), nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(2 * (FEATURES - 2), CLASSES))


def data(device) -> TensorData:
    inputs = torch.from_numpy(generator(0, "inputs").normal(size=(N, FEATURES))).float()
    return TensorData(inputs, torch.arange(N) % CLASSES).to(device)


@pytest.fixture
def members(tmp_path) -> list[Member]:
    made = []
    for number, build_one in enumerate((build, build, build, build_convolution)):
        with torch_stream(0, "member", number):
            save_file(build_one().state_dict(), tmp_path / f"{number}.safetensors")
        made.append(Member(name=str(number), checkpoint=tmp_path / f"{number}.safetensors", build=build_one))
    return made


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("classes", [3, 40])
def test_statistics_on_the_device_are_those_of_all_members_at_once(classes, precision, device):
    p, targets = members_of(0, 5, 30, classes), np.arange(30) % classes
    statistics, other = (
        EnsembleStatistics(30, classes, precision=precision, device=place) for place in (DEVICE, NAME)
    )
    for number, member in enumerate(p):
        into = statistics if number < 3 else other
        place = (DEVICE, "cpu")[number % 2]
        for start in (0, 17):
            rows = slice(start, 17 if start == 0 else 30)
            given = torch.tensor(member[rows]).to(place), torch.tensor(targets[rows]).to(place)
            into.add_member(start, *given, member=str(number))
    tolerance = 1e-12 if precision == "float64" else 1e-5
    assert_scores(statistics.merge(other), brute_force(p, targets), tolerance)


def test_statistics_merge_and_are_kept_across_devices(device, tmp_path):
    p, targets = members_of(1, 4, 20, 3), np.arange(20) % 3
    there, host = EnsembleStatistics(20, 3, device=DEVICE), EnsembleStatistics(20, 3)
    for number, member in enumerate(p):
        (there, host)[number % 2].add_member(0, member, targets)
    there.merge(host)
    there.save(tmp_path / "statistics.safetensors")
    assert_scores(EnsembleStatistics.load(tmp_path / "statistics.safetensors"), brute_force(p, targets))
    assert_scores(there, brute_force(p, targets))


def test_statistics_refuse_on_the_device_what_they_refuse_on_the_host(device):
    statistics = EnsembleStatistics(4, 3, device=DEVICE)
    bad = torch.full((4, 3), 1 / 3)
    bad[2, 1] = torch.nan
    with pytest.raises(InputError, match="example 2: a probability is NaN"):
        statistics.add_member(0, bad.to(DEVICE))
    with pytest.raises(InputError, match="example 1"):
        statistics.add_member(0, torch.full((4, 3), 1 / 3).to(DEVICE), torch.tensor([0, 3, 1, 1]).to(DEVICE))
    with pytest.raises(InputError, match="no member"):
        acquisition.entropy(statistics)


def test_yes_or_no_classes_work_on_the_device(device):
    p = torch.from_numpy(generator(2, "p").uniform(size=(3, 9, 4)))
    there, host = (EnsembleStatistics(9, 4, multilabel=True, device=place) for place in (DEVICE, "cpu"))
    for member in p:
        there.add_member(0, member.to(DEVICE))
        host.add_member(0, member)
    assert np.allclose(
        acquisition.mutual_information(there), acquisition.mutual_information(host), atol=1e-12
    )


@pytest.mark.parametrize("stacked", [None, True, False])
@pytest.mark.parametrize("place", [DEVICE, "cpu"])
def test_members_predict_on_the_device_as_on_the_host(members, stacked, place, device):
    """Wherever the data are."""
    inference = {"batch_size": 10, "memory_bytes": 1 << 30, "stacked": stacked}
    there = list(predict_members(members, data(place), device=NAME, **inference))
    host = list(predict_members(members, data("cpu"), **inference))
    assert [part.members for part in there] == [part.members for part in host]
    for mine, theirs in zip(there, host, strict=True):
        assert mine.probabilities.device == DEVICE
        assert torch.allclose(mine.probabilities.cpu(), theirs.probabilities, atol=1e-6)


@pytest.mark.parametrize("kept", [DEVICE, "cpu"])
def test_members_are_scored_on_the_device(members, kept, device):
    statistics, host = EnsembleStatistics(N, CLASSES, device=kept), EnsembleStatistics(N, CLASSES)
    score_members(members, data(DEVICE), statistics, device=DEVICE, batch_size=8)
    score_members(members, data("cpu"), host, batch_size=8)
    for name, function in acquisition.FUNCTIONS.items():
        assert np.allclose(function(statistics), function(host), atol=1e-6), name


def test_chunks_are_scored_on_the_device(members, device):
    functions = {"mutual_information": acquisition.mutual_information}
    parts = predict_members(members, data(DEVICE), device=DEVICE, batch_size=9, memory_bytes=1 << 30)
    there = score_chunks(N, CLASSES, as_chunks(parts), functions)
    parts = predict_members(members, data("cpu"), batch_size=9)
    host = score_chunks(N, CLASSES, as_chunks(parts), functions)
    assert np.allclose(there["mutual_information"], host["mutual_information"], atol=1e-6)


def embedded(place):
    with torch_stream(0, "embedded"):
        model = build()
    return embed(model.to(place), data(place), batch_size=8, device=place)


def test_features_come_from_the_device_to_the_host(device):
    there, host = embedded(DEVICE), embedded("cpu")
    assert np.allclose(there.features, host.features, atol=1e-6)
    assert np.allclose(there.probabilities, host.probabilities, atol=1e-6)


def test_a_device_without_float64_serves_all_but_keeping_the_sums(members, monkeypatch):
    monkeypatch.setattr("headrace.arrays.WITHOUT_FLOAT64", frozenset({NAME}))
    monkeypatch.setattr("headrace.ensembles.statistics.WITHOUT_FLOAT64", frozenset({NAME}))
    with Pretend(float64=False):
        with pytest.raises(InputError, match=r"float64.*device out"):
            EnsembleStatistics(N, CLASSES, device=DEVICE)
        statistics = EnsembleStatistics(N, CLASSES)
        score_members(members, data(DEVICE), statistics, device=DEVICE)
        there = embedded(DEVICE)
    host = EnsembleStatistics(N, CLASSES)
    score_members(members, data("cpu"), host)
    assert np.allclose(acquisition.margin(statistics), acquisition.margin(host), atol=1e-5)
    assert np.allclose(there.probabilities, embedded("cpu").probabilities, atol=1e-6)
    assert len(selection.top_k(acquisition.entropy(statistics), 5)) == 5
