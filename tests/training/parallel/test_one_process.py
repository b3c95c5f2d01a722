"""A group of one, in this process: what the world of processes does and counts, without starting any."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from headrace.errors import InputError, InputErrors
from headrace.sampling.batches import Batch
from headrace.training.parallel import ProcessWorld, VirtualWorld, joining
from headrace.training.parallel._base import Alone
from headrace.training.parallel.agreement import agree, gathered
from headrace.training.parallel.joining import join, under_torchrun
from headrace.training.parallel.processes import global_mean
from headrace.training.parallel.watch import PULSE


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Buffered(nn.Module):
    """Buffers of two types, of which one is written in the forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.norm = nn.BatchNorm1d(1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(inputs))


def test_without_a_group_there_is_no_world() -> None:
    with pytest.raises(InputError, match="no process group"):
        ProcessWorld()


def test_exchanges_and_steps_are_counted(group: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PULSE, "exchanges", 0)
    monkeypatch.setattr(PULSE, "step", 0)
    world, model = ProcessWorld(), Buffered()
    assert (world.rank, world.workers, world.scale) == (0, 1, 1.0)
    wrapped = world.attach(model)
    batch = Batch(indices=torch.arange(4))
    assert world.shares(batch) == [(0, slice(0, 4))]

    def step(last: bool) -> tuple[int, int]:
        with world.playing(0), world.exchanging(last):
            wrapped(torch.ones(4, 2)).sum().backward()
        return PULSE.exchanges, PULSE.step

    assert [step(False), step(False), step(True)] == [(0, 0), (0, 0), (1, 1)]
    assert [step(False), step(True)] == [(1, 1), (2, 2)]
    before = [buffer.clone() for buffer in model.buffers()]
    world.settle()
    assert PULSE.exchanges == 4  # floats together, and the count of batches
    assert all(a.equal(b) for a, b in zip(before, model.buffers(), strict=True))
    rows = [torch.arange(3.0).view(3, 1), torch.tensor([[7.0]])]
    assert world.whole(rows, batch).flatten().tolist() == [0, 1, 2, 7]
    value = torch.tensor(2.5)
    assert float(world.total(value)) == 2.5
    assert world.total(value) is not value
    assert world.told({"a": 1}) == {"a": 1}
    assert PULSE.exchanges == 8
    assert world.measure(lambda m: {"there": m is model}, model) == {"there": True}
    assert PULSE.exchanges == 11


def test_the_mean_over_all_processes(group: None, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert global_mean(losses).item() == 3

    def as_of_two(count: torch.Tensor) -> None:
        count += 1  # the other rank has one example

    monkeypatch.setattr(dist, "all_reduce", as_of_two)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    mean = global_mean(losses)
    assert mean.item() == 9 * 2 / 4
    mean.backward()
    assert losses.grad.tolist() == [0.5] * 3


def test_facts_are_gathered_and_held_against_rank_0(group: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gathered({"a": 1}) == [{"a": 1}]
    agree({"data": "x"})

    def other(found: list, mine: dict) -> None:
        found[:] = [mine, mine, {**mine, "data": "y"}]

    monkeypatch.setattr(dist, "all_gather_object", other)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    with pytest.raises(InputErrors, match="rank 2: has another data than rank 0, which has x"):
        agree({"data": "x"})


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, False),
        ({"RANK": "0"}, False),
        ({"WORLD_SIZE": "2"}, False),
        ({"RANK": "0", "WORLD_SIZE": "1"}, False),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({"RANK": "1", "WORLD_SIZE": "3"}, True),
    ],
)
def test_who_was_started_as_one_of_several(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], found: bool
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert under_torchrun() == found
    with pytest.raises(InputError, match="not started by torchrun"):
        join()


@pytest.mark.parametrize(
    ("wanted", "rank", "gpus", "expected"),
    [
        ("auto", 0, 0, "cpu"),
        ("auto", 1, 2, "cuda:1"),
        ("cpu", 1, 2, "cpu"),
        ("cuda", 0, 1, "cuda:0"),
        ("auto", 2, 2, "process 2 of this machine has no GPU: there are 2"),
        ("cuda", 0, 0, "no GPU: there are 0"),
        ("tpu", 0, 2, "must be 'auto', 'cpu' or 'cuda'"),
    ],
)
def test_each_process_of_a_machine_has_a_device_of_its_own(
    monkeypatch: pytest.MonkeyPatch, wanted: str, rank: int, gpus: int, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    if " " in expected:
        with pytest.raises(InputError, match=expected):
            joining._device(wanted, rank)
        return
    assert str(joining._device(wanted, rank)) == expected


def test_whoever_joins_is_watched_and_leaves_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    met: list[tuple[str, float]] = []
    at_exit: list[Any] = []

    def meet(backend: str, timeout: timedelta) -> None:
        met.append((backend, timeout.total_seconds()))
        dist.init_process_group(backend, init_method=f"file://{tmp_path}/store", rank=0, world_size=1)

    monkeypatch.setattr(joining, "_meet", meet)
    monkeypatch.setattr(joining, "shared_store", dist.HashStore)
    monkeypatch.setattr("atexit.register", at_exit.append)
    monkeypatch.setattr(joining, "REST_SECONDS", 0.0)
    assert join("cpu", timeout_seconds=30) == torch.device("cpu")
    assert join("cpu").type == "cpu"
    # Once, and with more patience than the watch, which knows more.
    assert met == [("gloo", 60.0)]
    assert at_exit == [joining.end]
    (watch,) = joining._WATCHES
    assert (watch._rank, watch._ranks, watch._timeout) == (0, 1, 30)
    joining.end()
    assert not dist.is_initialized()
    assert joining._WATCHES == []
    assert watch._ended.is_set()
    joining.end()


def test_worlds_of_one_process() -> None:
    rows = [torch.zeros(2), torch.ones(1)]
    batch, model = Batch(indices=torch.arange(3)), nn.Linear(1, 1)
    for world in (Alone(), VirtualWorld(3)):
        assert world.scale == 1.0
        assert world.attach(model) is model
        assert world.whole(rows, batch).tolist() == [0, 0, 1]
        assert world.whole(rows[:1], batch).tolist() == [0, 0]
        assert float(world.total(torch.tensor(2.0))) == 2
        assert world.measure(lambda m: m, model) is model
    assert VirtualWorld(3).shares(batch) == [(i, slice(i, i + 1)) for i in range(3)]
    assert Alone().shares(batch) == ((0, slice(None)),)
    for workers in (0, -1):
        with pytest.raises(InputError, match="workers: must be at least 1"):
            VirtualWorld(workers)
