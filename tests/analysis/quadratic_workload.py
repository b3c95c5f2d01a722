"""The noisy quadratic as a workload: many independent copies of each coordinate, so that means are sharp.

Example i is one of the 2 x shifts x rows signed circular shifts of a few rows of signs. Over the whole
data set the noise of each coordinate has mean exactly 0 and variance exactly c; as long as a small
part of the data is used, batches drawn without replacement are as good as independent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headrace import random
from headrace.analysis.noisy_quadratic import Quadratic
from headrace.training.data import TensorData
from headrace.workloads import Workload

MODEL = Quadratic(curvature=(1.0, 0.3), noise=(4.0, 1.2), start=(1.0, 1.0))
GOAL = 0.02
COPIES = 1024
ROWS = 64


class SignedShifts:
    """Examples whose inputs are the noise of their gradients: [batch, coordinates, copies]."""

    def __init__(self) -> None:
        signs = random.generator(0, "signs").choice([-1.0, 1.0], (len(MODEL.noise), ROWS, COPIES))
        scaled = torch.tensor(signs, dtype=torch.float32) * torch.tensor(MODEL.noise).sqrt()[:, None, None]
        twice = torch.cat([scaled, scaled], dim=2).contiguous()
        # Row r shifted by s begins at r * 2 * copies + s: a view, not a copy of copies x rows x copies.
        self.shifts = [t.as_strided((ROWS, COPIES, COPIES), (2 * COPIES, 1, 1)) for t in twice]

    def __len__(self) -> int:
        return 2 * ROWS * COPIES

    def to(self, device) -> SignedShifts:
        return self

    def fetch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        sign = 1.0 - 2.0 * (indices % 2).float()
        row, shift = (indices // 2) // COPIES, (indices // 2) % COPIES
        noise = torch.stack([shifts[row, shift] for shifts in self.shifts], dim=1)
        return noise * sign[:, None, None], torch.zeros(len(indices))


class Coordinates(nn.Module):
    """The loss of each example: the sum over copies of h/2 x^2 + noise x."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor(MODEL.start)[:, None].repeat(1, COPIES))
        self.register_buffer("curvature", torch.tensor(MODEL.curvature)[:, None])

    def forward(self, noise: Tensor) -> Tensor:
        quadratic = (self.curvature / 2 * self.x**2).sum()
        return quadratic + noise.flatten(1) @ self.x.flatten()


def noisy_quadratic() -> Workload:
    """Trained on sums over the copies; the metric is their mean, which the closed form gives."""
    return Workload(
        name="noisy-quadratic",
        train=SignedShifts(),
        validation=TensorData(torch.zeros(1, len(MODEL.noise), COPIES), torch.zeros(1)),
        build_model=Coordinates,
        loss=lambda outputs, targets: outputs,
        metric=lambda outputs, targets: outputs / COPIES,
        metric_name="error",
        goal=GOAL,
    )
