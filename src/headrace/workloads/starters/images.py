"""Pictures in classes. Change what is yours, then give `headrace run experiment.toml`."""

from pathlib import Path

import torch
from torch import nn

from headrace import Workload
from headrace.workloads import from_folder, from_hugging_face, from_tensors

WHERE: str | None = None
"""A folder with one subfolder per class (above them train, validation and test, if there are splits already),
or a Hugging Face data set on disk. None: a few made-up pictures, to see how it works."""
SIZE = (32, 32)
"""Height and width that every picture is scaled to."""


def model(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Your model: called with (channels, height, width) and the number of classes, freshly initialised."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * 32, classes),
    )


def workload(goal: float = 0.1) -> Workload:
    """The data, the model, and the goal: a share of errors on the validation split to get below."""
    if WHERE is None:
        return made_up(goal)
    hugging_face = any(Path(WHERE).rglob("*.parquet")) or any(Path(WHERE).rglob("*.arrow"))
    read = from_hugging_face if hugging_face else from_folder
    return read(WHERE, model=model, goal=goal, size=SIZE)


def made_up(goal: float) -> Workload:
    """Noise with a brighter stripe, whose height is the class. Delete this once your pictures are there."""
    random = torch.Generator().manual_seed(0)
    classes = torch.randint(4, (1200,), generator=random)
    pictures = torch.rand(1200, 1, 16, 16, generator=random)
    for number, picture in zip(classes.tolist(), pictures, strict=True):
        picture[0, 4 * number : 4 * number + 2] += 0.3
    return from_tensors(pictures, classes, model=model, goal=goal, name="made-up-pictures")
