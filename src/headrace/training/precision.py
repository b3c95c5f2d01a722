"""The numbers in which a model computes: float32, or bfloat16 where torch's autocast allows it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn

Precision = Literal["float32", "bfloat16"]


def autocast(precision: Precision, model: nn.Module) -> AbstractContextManager[object]:
    """A block in which `model` computes in `precision`; weights, gradients and losses stay as they are.

    With "bfloat16" torch's autocast rounds the inputs of products of matrices, and computes losses, norms and
    softmax in float32.

    Args:
        precision: "float32" leaves everything as it is.
        model: On its device.
    """
    if precision == "float32":
        return nullcontext()
    device = next(model.parameters()).device.type
    return torch.autocast(device, dtype=torch.bfloat16)
