"""Training on an accelerator: the host's numbers, streams of its own, and no wait inside a step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from headrace import NoiseScale, random
from headrace.sampling.batches import shuffled_batches
from headrace.training import stream as streams
from headrace.training.data import MapData, TensorData
from headrace.training.evaluation import evaluate, evaluator
from headrace.training.gradients import Chosen
from headrace.training.loop import train
from headrace.training.losses import classification_error, cross_entropy
from headrace.training.parallel import VirtualWorld, worker_stream
from headrace.training.per_example import per_example_noise
from headrace.training.recipe import Recipe

from .pretend import DEVICE, NAME, Pretend

N, FEATURES, CLASSES = 40, 5, 3


@pytest.fixture(autouse=True)
def generators(monkeypatch):
    """The device is one of the accelerators; its generators' first states are made on the host."""
    monkeypatch.setattr(random, "ACCELERATORS", (*random.ACCELERATORS, NAME))
    monkeypatch.setattr(streams, "ACCELERATORS", (*random.ACCELERATORS, NAME))
    made = random.torch_generator
    monkeypatch.setattr(streams, "torch_generator", lambda *path, device="cpu": made(*path, device="cpu"))


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def examples(device) -> TensorData:
    return TensorData(numbers(N, FEATURES), torch.arange(N) % CLASSES).to(device)


def network(device, dropout: float = 0.0) -> nn.Module:
    with random.torch_stream(0, "init"):
        layers = [
            nn.Linear(FEATURES, 7, bias=False),
            nn.BatchNorm1d(7),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(7, CLASSES),
        ]
        return nn.Sequential(*layers).to(device)


def run(model: nn.Module, device, steps: int = 6, workers: int = 1, **changes):
    """Train with all that a step may do; returns the measurements and what was recorded."""
    data = examples(device)
    seen: list[tuple[torch.Tensor, ...]] = []
    weights = numbers(N).abs().to(device)

    def weighted():
        for batch in shuffled_batches(N, 12, seed=0, path=("t",), device=device):
            yield replace(batch, weights=weights.index_select(0, batch.indices))

    settings = {
        "recipe": Recipe(optimizer="nesterov", learning_rate=0.1, schedule="cosine", gradient_clip=1.0),
        "world": None if workers == 1 else VirtualWorld(workers),
        "batches": weighted(),
    }
    measured = train(
        model=model,
        data=data,
        loss=cross_entropy,
        budget_steps=steps,
        evaluation_steps=(0, 1, steps),
        evaluate=evaluator({"validation": data}, cross_entropy, classification_error),
        microbatch=2,
        record=lambda *what: seen.append(what),
        **{**settings, **changes},
    )
    return [m.metrics for m in measured], seen


def weights_of(model: nn.Module) -> list[float]:
    return [number for value in model.state_dict().values() for number in value.cpu().flatten().tolist()]


def chosen_half(outputs, targets, losses, batch) -> Chosen:
    return Chosen(positions=losses.topk(len(losses) // 2).indices, weights=None)


def candidates(device):
    for batch in shuffled_batches(N, 16, seed=0, path=("t",), device=device):
        yield replace(batch, train_on=8)


WAYS = {
    "plain": lambda device: {},
    "AdamW": lambda device: {"recipe": Recipe(optimizer="adamw", learning_rate=0.01)},
    "virtual workers": lambda device: {"workers": 3},
    "choosing": lambda device: {"batches": candidates(device), "choose": chosen_half},
    "choosing, virtual workers": lambda device: {
        "batches": candidates(device), "choose": chosen_half, "workers": 2,
    },
    "batches of the host": lambda device: {"batches": shuffled_batches(N, 12, seed=0, path=("t",))},
    "smoothed labels": lambda device: {
        "recipe": Recipe(optimizer="momentum", learning_rate=0.1, label_smoothing=0.1, warmup_steps=1)
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_it_trains_to_the_hosts_numbers(way, device):
    there, host = network(DEVICE), network("cpu")
    measured, seen = run(there, DEVICE, **WAYS[way](DEVICE))
    expected, recorded = run(host, "cpu", **WAYS[way]("cpu"))
    for mine, theirs in zip(measured, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
    assert weights_of(there) == pytest.approx(weights_of(host), rel=1e-4, abs=1e-6)
    assert len(seen) == len(recorded) > 0
    for mine, theirs in zip(seen, recorded, strict=True):
        assert all(torch.allclose(a.cpu(), b, atol=1e-5) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_in_a_step_waits(way, device):
    """More steps, of several epochs, wait no more often: what waits are the evaluations."""

    def waits(steps: int) -> list[str]:
        before = len(device.waits)
        run(network(DEVICE), DEVICE, steps, **WAYS[way](DEVICE))
        return device.waits[before:]

    assert waits(9) == waits(2)


def test_an_epochs_order_is_moved_once_and_without_waiting(device):
    batches = shuffled_batches(N, 8, seed=0, path=("t",), device=DEVICE)
    with device.step():
        for _ in range(12):
            next(batches)


def test_data_of_a_map_style_set_is_moved_without_waiting(device):
    pairs = [(numbers(FEATURES), 1)] * 6
    data = MapData(pairs).to(DEVICE)
    with device.step():
        inputs, targets = data.fetch(torch.arange(4))
    assert inputs.device == targets.device == DEVICE


def test_an_evaluation_waits_once(device):
    model = network(DEVICE)
    data = examples(DEVICE)
    with device.step(["tolist"]):
        there = evaluate(model, data, cross_entropy, classification_error, batch_size=7)
    assert there == evaluate(
        network("cpu"), examples("cpu"), cross_entropy, classification_error, batch_size=7
    )


@pytest.mark.parametrize("place", ["cpu", DEVICE])
def test_an_evaluation_moves_the_data_where_it_is_told(place, device):
    model = network(DEVICE)
    there = evaluate(model, examples(place), cross_entropy, classification_error, device=NAME)
    assert there == evaluate(model, examples(DEVICE), cross_entropy, classification_error)


def test_dropout_draws_from_the_stream_of_each_worker_and_leaves_the_device_as_it_was(device):
    def trained(*, disturbed: bool) -> list[float]:
        model = network(DEVICE, dropout=0.5)
        streams = [worker_stream(0, "training", worker=w, workers=2, device=DEVICE) for w in range(2)]
        world = VirtualWorld(2, streams)
        if disturbed:
            torch.rand(9, device=DEVICE)
        run(model, DEVICE, world=world)
        return weights_of(model)

    torch.rand(3, device=DEVICE)
    before = torch.pretend.get_rng_state()
    first = trained(disturbed=False)
    assert torch.equal(torch.pretend.get_rng_state(), before)
    assert trained(disturbed=True) == first


def test_the_streams_of_two_workers_differ_on_the_device(device):
    drawn = []
    for worker in range(2):
        with worker_stream(0, "training", worker=worker, workers=2, device=DEVICE):
            drawn.append(torch.rand(4, device=DEVICE).tolist())
    assert drawn[0] != drawn[1]


def test_a_stream_continues_on_the_device_where_its_last_block_ended(device):
    def drawn(*sizes: int) -> list[float]:
        stream = streams.TorchStream(0, "s", device=NAME)
        found: list[float] = []
        for size in sizes:
            with stream:
                found += torch.rand(size, device=DEVICE).tolist()
            torch.rand(5, device=DEVICE)
        return found

    assert drawn(16, 16) == drawn(16) + drawn(16, 16)[16:]
    assert drawn(16, 16)[:16] != drawn(16, 16)[16:]


def test_initialisation_seeds_the_device_and_leaves_it_as_it_was(device):
    torch.rand(3, device=DEVICE)
    before = torch.pretend.get_rng_state()

    def drawn() -> list[float]:
        with random.torch_stream(0, "init"):
            return torch.rand(3, device=DEVICE).tolist()

    assert drawn() == drawn()
    assert torch.equal(torch.pretend.get_rng_state(), before)


def test_a_forked_process_that_cannot_use_the_device_still_has_streams(device, monkeypatch):
    def refuse(*_):
        raise RuntimeError("cannot re-initialize in a forked subprocess")

    monkeypatch.setattr(torch.pretend, "_is_in_bad_fork", lambda: True)
    monkeypatch.setattr(torch.pretend, "get_rng_state", refuse)
    with random.torch_stream(0, "augmentation"):
        first = torch.rand(3)
    with random.torch_stream(0, "augmentation"):
        assert torch.rand(3).tolist() == first.tolist()


def test_the_noise_scale_is_measured_without_waiting(device):
    def measured(place) -> tuple[NoiseScale, nn.Module]:
        model = network(place)
        noise = NoiseScale(model.parameters())
        data = examples(place)
        for step in range(5):
            parts = torch.arange(8 * step, 8 * step + 8).split(4)
            batches = [data.fetch(part) for part in parts]
            with device.step():
                model.zero_grad()
                for inputs, targets in batches:
                    (cross_entropy(model(inputs), targets).sum() / 8).backward()
                noise.step(8)
        return noise, model

    there, _ = measured(DEVICE)
    host, _ = measured("cpu")
    with device.step(["to the host"]):
        estimate = there.estimate()
    assert estimate == host.estimate()
    again = NoiseScale(network(DEVICE).parameters())
    again.load_state_dict(there.state_dict())
    assert again.estimate() == estimate


def test_gradients_per_example_are_those_of_the_host(device):
    found = []
    for place in (DEVICE, "cpu"):
        inputs, targets = examples(place).fetch(torch.arange(12))
        found.append(per_example_noise(network(place), inputs, targets, chunk=5))
    assert found[0] == found[1]


@pytest.mark.parametrize("way", WAYS)
def test_a_device_without_float64_trains_too(way):
    with Pretend(float64=False):
        measured, _ = run(network(DEVICE), DEVICE, **WAYS[way](DEVICE))
        expected, _ = run(network("cpu"), "cpu", **WAYS[way]("cpu"))
    for mine, theirs in zip(measured, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
