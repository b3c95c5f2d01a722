"""Many members' predictions at once against one member's pass over the data after the other's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks._timing import Timing, interleaved
from headrace.ensembles import Member, predict_members
from headrace.random import torch_generator, torch_stream
from headrace.training.data import TensorData

DESCRIPTION = "16 narrow CNNs (and MLPs) on 10,000 images in one pass against one after the other"


def narrow_cnn() -> nn.Module:
    """The narrow Simple CNN of Shallue et al. (2019)."""
    first = [nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*first, *second, nn.Linear(32 * 49, 512), nn.ReLU(), nn.Linear(512, 10))


def mlp() -> nn.Module:
    """784-100-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))


def save_members(folder: Path, build: Callable[[], nn.Module], count: int) -> list[Member]:
    members = []
    for i in range(count):
        path = folder / f"{build.__name__}{i}.safetensors"
        with torch_stream(0, "member", i):
            save_file(build().state_dict(), path)
        members.append(Member(name=str(i), checkpoint=path, build=build))
    return members


def compare(
    build: Callable[[], nn.Module],
    members: int,
    data: TensorData,
    *,
    rounds: int,
    stacked: bool | None,
    device: str,
) -> Timing:
    """Both load their members from the same files and take batches of 256."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        saved = save_members(Path(folder), build, members)

        def at_once() -> None:
            for part in predict_members(saved, data, device=device, stacked=stacked):
                part.probabilities.cpu()

        def one_after_another() -> None:
            for member in saved:
                model = member.load(device)
                with torch.inference_mode():
                    for indices in torch.arange(len(data)).split(256):
                        inputs, _ = data.fetch(indices)
                        model(inputs.to(device)).softmax(1).cpu()

        return interleaved(at_once, one_after_another, rounds=rounds, warmup=0, clock=clock)


def run(members: int = 16, images: int = 10_000, rounds: int = 1, device: str = "cpu") -> dict[str, Any]:
    """Seconds of both for the CNN as `predict_members` chooses; stacked by force, and MLPs, beside it."""
    torch.set_num_threads(1)
    rng = torch_generator(0, "benchmark")
    inputs = torch.rand(images, 1, 28, 28, generator=rng)
    data = TensorData(inputs, torch.zeros(images, dtype=torch.int64))
    few = TensorData(inputs[: images // 10], torch.zeros(images // 10, dtype=torch.int64))
    chosen = compare(narrow_cnn, members, data, rounds=rounds, stacked=None, device=device)
    forced = compare(narrow_cnn, members, few, rounds=rounds, stacked=True, device=device)
    small = compare(mlp, members, data, rounds=rounds, stacked=None, device=device)
    return {
        "ours": chosen.ours,
        "peer": chosen.peer,
        "ratio": chosen.ratio,
        "unit": "s",
        "measured": f"{members} narrow CNNs, {images} images, {device}, 1 thread, loading included",
        "stacked_by_force_on_a_tenth": {"ours": forced.ours, "peer": forced.peer, "ratio": forced.ratio},
        "mlp": {"ours": small.ours, "peer": small.peer, "ratio": small.ratio},
    }
