"""Data and a model of your own. Change what is yours, then give `headrace run experiment.toml`."""

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from headrace import Workload
from headrace.training.data import MapData


class Examples(Dataset[tuple[Tensor, int]]):
    """Your data set: `data[i]` is an input and its target, always the same. Here: which bump is higher."""

    def __init__(self, first: int, count: int) -> None:
        random = torch.Generator().manual_seed(first)
        self.heights = torch.rand(count, 2, generator=random)
        self.noise = 0.1 * torch.randn(count, 24, generator=random)

    def __len__(self) -> int:
        return len(self.heights)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        signal = self.noise[index].clone()
        signal[4:8] += self.heights[index, 0]
        signal[16:20] += self.heights[index, 1]
        return signal, int(self.heights[index].argmax())


def workload(goal: float = 0.05) -> Workload:
    """The data, the model, and the goal: a share of errors on the validation split to get below.

    For another loss or metric give `loss` and `metric`: (outputs, targets) -> one value per example. A model
    that is not called as `model(inputs)` comes with `call=lambda model, inputs: ...`.
    """
    return Workload(
        name="own",
        train=MapData(Examples(0, 1500)),
        validation=MapData(Examples(10_000, 400)),
        test=MapData(Examples(20_000, 400)),
        build_model=lambda: nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 2)),
        goal=goal,
    )
