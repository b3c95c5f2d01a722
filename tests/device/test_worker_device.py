"""Which device a worker gets, as torch would report them."""

from __future__ import annotations

import pytest
import torch

from headrace.errors import InputError
from headrace.trials.bench import pick_device


@pytest.fixture
def two_gpus(monkeypatch) -> list[torch.device]:
    """Two GPUs; lists what became the current one."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_gpus_are_shared_out_in_turn_and_become_the_current_one(wanted, two_gpus):
    picked = [pick_device(wanted, rank) for rank in range(4)]
    assert picked == [torch.device("cuda", rank % 2) for rank in range(4)]
    assert two_gpus == picked


def test_the_cpu_is_picked_beside_gpus_when_asked_for(two_gpus):
    assert pick_device("cpu", 1) == torch.device("cpu")
    assert two_gpus == []


def test_what_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"(?s)cuda.*It has cpu"):
        pick_device("cuda", 0)
