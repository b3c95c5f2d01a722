"""The device itself: it refuses and notes what a real one would, and computes what the host computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from .pretend import DEVICE, NAME, OnDevice, Pretend


def here(*shape: int) -> torch.Tensor:
    return torch.arange(24.0)[: torch.Size(shape).numel()].reshape(shape)


def there(*shape: int) -> torch.Tensor:
    return here(*shape).to(DEVICE, non_blocking=True)


MIXTURES = {
    "arithmetic": lambda: there(3) + here(3),
    "in place": lambda: there(3).add_(here(3)),
    "a product": lambda: there(2, 3) @ here(3, 2),
    "an index of the host": lambda: there(4)[torch.tensor([0, 2])],
    "an index of the device": lambda: here(4)[there(2).long()],
    "joined": lambda: torch.cat([there(2), here(2)]),
    "a number where none may be": lambda: there(2).index_select(0, torch.tensor(1)),
    "a loss": lambda: functional.cross_entropy(there(2, 3), torch.tensor([0, 1])),
}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_tensors_of_two_devices_do_not_mix(mixture):
    with Pretend(), pytest.raises(RuntimeError, match="one device"):
        MIXTURES[mixture]()


def test_a_single_number_of_the_host_may_take_part_in_arithmetic():
    with Pretend() as device, device.step():
        assert (there(3) * torch.tensor(2.0)).device == DEVICE


@pytest.mark.parametrize("read", [lambda x: x.numpy(), lambda x: __import__("numpy").asarray(x)])
def test_numpy_cannot_look_at_it(read):
    with Pretend(), pytest.raises(TypeError, match="cpu"):
        read(there(3))


WAITS = {
    "item": (lambda: there(1).item(), ["_local_scalar_dense"]),
    "float": (lambda: float(there(1)), ["_local_scalar_dense"]),
    "the truth": (lambda: bool(there(1) > 0), ["_local_scalar_dense"]),
    "a list": (lambda: there(3).tolist(), ["tolist"]),
    "cpu": (lambda: there(3).cpu(), ["to the host"]),
    "copied out": (lambda: here(3).copy_(there(3)), ["to the host"]),
    "copied in": (lambda: there(3).copy_(here(3)), ["to the device"]),
    "moved": (lambda: here(3).to(NAME), ["to the device"]),
    "made of a list": (lambda: torch.tensor([1.0, 2.0], device=DEVICE), ["to the device"]),
    "nonzero": (lambda: there(3).nonzero(), ["nonzero"]),
    "a mask": (lambda: there(3)[there(3) > 1], ["index by a mask"]),
    "put by a mask": (lambda: there(4).index_put_((there(4) > 1,), there(2)), ["index by a mask"]),
    "unique": (lambda: there(3).unique(), ["_unique2"]),
    "equal": (lambda: torch.equal(there(3), there(3)), ["equal"]),
}


@pytest.mark.parametrize("what", WAITS)
def test_it_notes_what_waits(what):
    act, expected = WAITS[what]
    with Pretend() as device:
        act()
    assert device.waits == expected


FREE = {
    "moved without waiting": lambda: here(3).to(DEVICE, torch.float16, non_blocking=True),
    "copied in without waiting": lambda: there(3).copy_(here(3), non_blocking=True),
    "made there": lambda: torch.zeros(3, device=NAME) + torch.arange(3, device=NAME),
    "where": lambda: torch.where(there(3) > 1, there(3), 0.0),
    "one number by a mask": lambda: there(3).masked_fill_(there(3) > 1, 0.0),
    "a sort": lambda: there(3).sort().values.topk(2),
    "another type": lambda: there(3).long().double(),
    "on the host": lambda: here(3)[here(3) > 1].unique().sum().item(),
}


@pytest.mark.parametrize("what", FREE)
def test_and_nothing_else(what):
    with Pretend() as device, device.step():
        FREE[what]()


@pytest.mark.parametrize("what", sorted({**WAITS, **FREE}.keys() - {"made of a list"}))
def test_inference_mode_hides_nothing(what):
    act, expected = WAITS.get(what, (FREE.get(what), []))
    with Pretend() as device, torch.inference_mode():
        act()
    assert device.waits == expected


def test_a_step_that_waits_fails_its_test():
    with Pretend() as device, pytest.raises(AssertionError, match="tolist"), device.step():
        there(2).tolist()


def test_a_device_without_float64_refuses_it():
    with Pretend(float64=False) as device:
        assert there(3).sum().device == DEVICE
        for make in (there(3).double, lambda: there(3).sum(dtype=torch.float64)):
            with pytest.raises(TypeError, match="float64"):
                make()
        assert device.waits == []


def test_it_trains_as_the_host_does():
    """Forward, backward and update, of a network with normalisation, give the host's numbers to the bit."""

    def trained(device: torch.device | str) -> list[float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).to(device)
        optimizer = torch.optim.AdamW(model.parameters())
        inputs, targets = torch.randn(8, 4).to(device), (torch.arange(8) % 3).to(device)
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        return [
            number for tensor in model.state_dict().values() for number in tensor.cpu().flatten().tolist()
        ]

    with torch.random.fork_rng(devices=[]), Pretend():
        model_numbers = trained(DEVICE)
        assert model_numbers == trained("cpu")


def test_it_draws_from_a_generator_of_its_own():
    with torch.random.fork_rng(devices=[]), Pretend():
        torch.manual_seed(5)
        host = torch.get_rng_state()
        first = torch.rand(4, device=DEVICE)
        assert isinstance(first, OnDevice)
        assert torch.equal(torch.get_rng_state(), host)
        assert first.tolist() != torch.rand(4, device=DEVICE).tolist()
        torch.manual_seed(5)
        assert first.tolist() == torch.rand(4, device=DEVICE).tolist()


def test_when_it_is_left_torch_knows_of_no_such_device():
    assert getattr(torch, NAME).device_count() == 0
