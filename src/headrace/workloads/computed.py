"""What a workload's model, loss and metric compute, as the numbers that a fingerprint compares.

Code is compared by its text only if it is imported. A constant from a file, an environment variable or an
installed package is known by what it does: to the examples, the untrained model, the loss and the metric of
made-up outputs, and a step of training, in which transforms, dropout and gradients have their part.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.nested import leaves
from headrace.random import host_state, torch_stream
from headrace.training.data import ExampleData
from headrace.training.evaluation import evaluation_mode
from headrace.workloads._base import Workload
from headrace.workloads.fingerprint import Measured, Numbers, Step

_T = TypeVar("_T")
SHOWN = 8
"""Examples that the untrained model sees."""
SEED = 0
_WAVE = 65_536
"""Of larger tensors the wave is over this many values, spread evenly."""
_MOST, _VALUES = 128, 1 << 22
"""Examples that are transformed or for which outputs are made up, and about how many numbers they have."""
_SPREAD = 3.0
"""Logits of such a size make some examples certain and others not."""


@dataclass(frozen=True, kw_only=True)
class Computed:
    """The fields of a fingerprint that the untrained model decides; described in `Fingerprint`."""

    parameters: Mapping[str, Numbers]
    inputs: tuple[Numbers, ...]
    outputs: tuple[Numbers, ...]
    loss: tuple[Numbers, ...] = ()
    metric: tuple[Numbers, ...] = ()
    made_up: Measured | None = None
    step: Step | None = None


def computed(
    workload: Workload, device: torch.device, *, trains: bool, targets: bool
) -> tuple[Computed, bool]:
    """What the untrained model decides, and whether training draws from NumPy's or Python's generators.

    Args:
        workload: With its data on `device`.
        device: Where its models run.
        trains: Whether such models are trained; if not, the loss and the metric are not asked.
        targets: Whether the training targets may be looked at.

    Raises:
        InputError: `build_model` does not return a module.
    """
    with torch_stream(SEED, "identity", "model"):
        model = workload.build_model()
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError("build_model must return a torch module", where="Workload", got=type(model).__name__)
    model = model.to(device)
    parameters = {name: _numbers(value) for name, value in _state(model)}
    with evaluation_mode(model), torch.no_grad(), torch_stream(SEED, "identity", "outputs"):
        inputs, targets_of = _some(workload.evaluation_data("validation"), SHOWN)
        outputs = model(inputs)
        shown, _ = _some(workload.evaluation_data("train"), SHOWN)
        found = Computed(parameters=parameters, inputs=numbers(shown), outputs=numbers(outputs))
        if not trains:
            return found, False
        loss = numbers(workload.loss(outputs, targets_of))
        metric = numbers(workload.metric(outputs, targets_of))
    step, drew = _twice(lambda: _step(model, workload, targets=targets))
    made_up = _attempt(lambda: _made_up(workload, outputs))
    return replace(found, loss=loss, metric=metric, made_up=made_up, step=step), drew


def spread(examples: int, most: int) -> Tensor:
    """A limited number of indices of examples, spread evenly over all of them."""
    return torch.from_numpy(np.linspace(0, examples - 1, min(examples, most)).round().astype(np.int64))


def numbers(value: Any) -> tuple[Numbers, ...]:
    """Those of every tensor in it."""
    return tuple(map(_numbers, leaves(value)))


def _some(data: ExampleData, most: int) -> tuple[Any, Tensor]:
    return data.fetch(spread(len(data), most))


def _many(some: Any) -> int:
    """Of how many examples there can be more, if these are `SHOWN` of them or fewer."""
    return min(_MOST, max(SHOWN, SHOWN * _VALUES // max(1, sum(leaf.numel() for leaf in leaves(some)))))


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _attempt(run: Callable[[], _T]) -> _T | None:
    """What the user's code returns; None if it raises: errors of training are reported by the trials."""
    try:
        return run()
    except (Exception, SystemExit):  # noqa: BLE001  (any error of the user's code)
        return None


def _made_up(workload: Workload, outputs: Any) -> Measured | None:
    """The loss and the metric of outputs of every size, on the host: some errors of a device end its process.

    None if outputs are not one tensor of real numbers with a row for each example.
    """
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point() or outputs.ndim == 0:
        return None
    with torch.no_grad(), torch_stream(SEED, "identity", "made up"):
        _, targets = _some(workload.validation, _many(outputs))
        shape = (len(targets), *outputs.shape[1:])
        shares = bool(((outputs >= 0) & (outputs <= 1)).all())
        made = torch.rand(shape) if shares else _SPREAD * torch.randn(shape)
        loss, metric = (measure(made, targets.cpu()) for measure in (workload.loss, workload.metric))
    return Measured(loss=numbers(loss), metric=numbers(metric))


def _twice(run: Callable[[], Step]) -> tuple[Step | None, bool]:
    """The step, unless it cannot be repeated, and whether NumPy's or Python's generators were drawn from."""
    steps: list[Step | None] = []
    drew = True
    for _ in range(2):
        with torch_stream(SEED, "identity", "training"):
            before = host_state()
            steps.append(_attempt(run))
            drew = steps[-1] is None or host_state() != before
    first, again = steps
    return (first if first and again and not list(first.differences(again)) else None), drew


def _step(model: nn.Module, workload: Workload, *, targets: bool) -> Step:
    """What one step of training computes, to be run on a fixed stream; the model's buffers change.

    Without the targets there is no loss, and there are no gradients.
    """
    model.train()
    model.zero_grad()
    buffers = {name: value.detach().clone() for name, value in model.named_buffers()}
    inputs, labels = _some(workload.training_data, SHOWN)
    outputs = model(inputs)
    left = {name: _numbers(value) for name, value in model.named_buffers()}
    transformed, _ = _some(workload.training_data, _many(inputs))
    gradients: dict[str, Numbers | None] = {}
    if targets:
        workload.loss(outputs, labels).float().mean().backward()
        found = model.named_parameters()
        gradients = {name: None if p.grad is None else _numbers(p.grad) for name, p in found}
    with torch.no_grad():
        for name, value in model.named_buffers():
            value.copy_(buffers[name])
    return Step(
        machine=_machine(next(leaves(outputs)).device),
        inputs=numbers(transformed),
        outputs=numbers(outputs),
        buffers=left,
        gradients=gradients,
    )


def _machine(device: torch.device) -> str:
    """What has random streams and roundings of its own: a processor's kind, or the name of an accelerator."""
    named = getattr(getattr(torch, device.type, None), "get_device_name", None)
    return f"{device.type} {platform.machine() if named is None else named(device)}"


def _numbers(tensor: Tensor) -> Numbers:
    values = tensor.detach().flatten()
    if not values.dtype.is_floating_point:
        values = torch.view_as_real(values).flatten() if values.is_complex() else values.to(torch.float32)
    count = max(1, values.numel())
    some = values[:: -(-count // _WAVE)].cpu().double()
    wave = (some * torch.cos(0.7 * torch.arange(len(some), dtype=torch.float64))).sum() / max(1, len(some))
    wide = values if values.dtype == torch.float64 else values.to(torch.float32)
    size = float(torch.linalg.vector_norm(wide)) / math.sqrt(count)
    return Numbers(
        shape=tuple(tensor.shape),
        mean=_finite(float(wide.sum(dtype=wide.dtype)) / count),
        size=_finite(size),
        wave=_finite(float(wave)),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
