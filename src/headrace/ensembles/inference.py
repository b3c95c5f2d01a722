"""Predictions of many members in one pass over the data, stacked with torch.func where that pays."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from headrace.ensembles.members import Member, check_names
from headrace.ensembles.memory import InferencePlan, keep_freed_memory, make_plan
from headrace.errors import InputError
from headrace.nested import moved

_log = logging.getLogger("headrace")
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Forward = Callable[[Any], Tensor]


class Examples(Protocol):
    """Indexed examples; `headrace.training`'s data satisfy it."""

    def __len__(self) -> int: ...

    def fetch(self, indices: Tensor, /) -> tuple[Any, Tensor]:
        """Inputs [batch ...] and targets [batch ...] of the int64 indices [batch].

        Inputs are a tensor, or a dict, list or tuple of tensors.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Some members' probabilities for some consecutive examples.

    Attributes:
        start: The index of the first example.
        members: The members' names, in the order of the first axis.
        probabilities: [members, batch, classes], on the device of the models.
        targets: As fetched [batch ...].
    """

    start: int
    members: tuple[str, ...]
    probabilities: Float[Tensor, "members batch classes"]
    targets: Int[Tensor, "batch ..."]


def plan_inference(
    members: Sequence[Member],
    data: Examples,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    memory_bytes: int | None = None,
) -> InferencePlan:
    """Before the start: how many members are held at once, in how many passes and how much memory.

    Loads the first member and runs it on one example.
    """
    check_names(tuple(members))
    model = members[0].load(device)
    inputs, _ = data.fetch(torch.zeros(1, dtype=torch.int64))
    return make_plan(model, moved(inputs, device), len(members), batch_size, memory_bytes)


def predict_members(
    members: Sequence[Member],
    data: Examples,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    memory_bytes: int | None = None,
    stacked: bool | None = None,
    multilabel: bool = False,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Predictions]:
    """Every member's probabilities for the examples start..stop-1, in as few passes as memory allows.

    Members with the same `build` function run as one stacked model (torch.func) where that pays: on an
    accelerator always, on the CPU for models without convolutions (stacked convolutions are up to 2.7 times
    slower there). A model that torch.func cannot stack runs one member after another on the same batch. Both
    ways agree to float32 rounding.

    Args:
        members: Loaded as they are needed; unique names.
        data: Fetched once per pass.
        batch_size: Examples at a time at the most; less where memory asks for it.
        device: Where the models run.
        memory_bytes: What models and activations may take; by default 1 GiB on the CPU and half of what is
            free on an accelerator.
        stacked: Force stacking on (where torch.func can) or off; None for the rule above.
        multilabel: Sigmoid instead of softmax.
        start: The first example.
        stop: The example after the last; all by default.

    Yields:
        For each group of members that fits in memory, every batch in order.

    Raises:
        InputError: A checkpoint does not fit, or members have different numbers of classes.
    """
    keep_freed_memory()
    plan = plan_inference(members, data, batch_size=batch_size, device=device, memory_bytes=memory_bytes)
    end = len(data) if stop is None else stop
    for first in range(0, len(members), plan.members_at_once):
        group = members[first : first + plan.members_at_once]
        forward = _forward(group, torch.device(device), plan.stack_chunk, stacked)
        for begin in range(start, end, plan.batch_size):
            indices = torch.arange(begin, min(begin + plan.batch_size, end))
            inputs, targets = data.fetch(indices)
            with torch.inference_mode():
                outputs = forward(moved(inputs, device))
                probabilities = outputs.sigmoid() if multilabel else outputs.softmax(-1)
            names = tuple(member.name for member in group)
            yield Predictions(start=begin, members=names, probabilities=probabilities, targets=targets)


def _forward(members: Sequence[Member], device: torch.device, chunk: int, stacked: bool | None) -> Forward:
    """A function inputs -> outputs [members, batch, classes] of loaded members, in their order."""
    parts: list[Forward] = []
    for _, group in groupby(members, key=lambda member: member.build):
        models = [member.load(device) for member in group]
        wanted = _pays(models[0], device) if stacked is None else stacked
        parts.append(_stack(models, chunk) if wanted and len(models) > 1 else _one_by_one(models))
    names = [member.name for member in members]

    def forward(inputs: Any) -> Tensor:
        return _join([outputs for part in parts for outputs in part(inputs)], names)

    return forward


def _pays(model: nn.Module, device: torch.device) -> bool:
    return device.type != "cpu" or not any(isinstance(part, _CONVOLUTIONS) for part in model.modules())


def _one_by_one(models: list[nn.Module]) -> Forward:
    return lambda inputs: [model(inputs) for model in models]  # pyright: ignore[reportReturnType]


def _stack(models: list[nn.Module], chunk: int) -> Forward:
    """The stacked models, or on a model that torch.func cannot stack, one after another."""
    parameters, buffers = stack_module_state(models)
    skeleton = copy.deepcopy(models[0]).to("meta")
    state = ({name: value.detach() for name, value in parameters.items()}, buffers)

    def one(member: tuple[dict[str, Tensor], dict[str, Tensor]], inputs: Any) -> Tensor:
        return functional_call(skeleton, member, (inputs,))

    many = vmap(one, in_dims=(0, None), chunk_size=chunk)
    single = _one_by_one(models)
    able = True

    def forward(inputs: Any) -> Tensor:
        nonlocal able
        if able:
            try:
                return many(state, inputs)
            except (RuntimeError, NotImplementedError, ValueError) as error:
                _log.info("These members cannot be stacked and run one after another: %s", error)
                able = False
        return single(inputs)

    return forward


def _join(outputs: list[Tensor], names: list[str]) -> Tensor:
    for name, output in zip(names, outputs, strict=True):
        if output.ndim != 2 or output.shape != outputs[0].shape:
            raise InputError(
                f"members must agree on [batch, classes]; {names[0]!r} gives {tuple(outputs[0].shape)}",
                where=f"member {name!r}",
                got=tuple(output.shape),
            )
    return torch.stack(outputs)
