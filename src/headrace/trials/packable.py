"""Which studies' trials are trained as one, and how many: by the file, the model, and the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from headrace import random
from headrace.specs.packing import AUTO, why_alone
from headrace.training.losses import is_built_in, squared_error
from headrace.training.stacked import Stacked
from headrace.trials.pack_table import OTHER_DEVICE, OTHER_LAYERS, TOO_LARGE, best_width
from headrace.workloads.batchwise import batchwise

if TYPE_CHECKING:
    from headrace.trials.setting import Setting

_EXAMPLES = 4
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
_TROUBLE = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, NotImplementedError)


def packs(setting: Setting, *, steady: bool) -> tuple[dict[str, int], dict[str, str]]:
    """Study -> how many of its trials are trained as one; and of those where it is one, the reason.

    Args:
        setting: On the whole training set.
        steady: Whether neither the data nor the model draw anything while they are used.
    """
    experiment = setting.experiment
    asked, widths, reasons = experiment.training.pack, dict[str, int](), dict[str, str]()
    if asked == 1:
        return widths, reasons
    model = setting.new_model(experiment.studies()[0], 0)
    general = next(_of_workload(setting, model, steady=steady), None)
    for study in experiment.studies():
        reason = general or why_alone(experiment, study)
        width = 1 if asked == AUTO else asked
        if reason is None and asked == AUTO:
            width, reason = _by_table(setting, model, study.configuration.batch_size)
        widths[study.name] = 1 if reason else width
        if reason:
            reasons[study.name] = reason
    return widths, reasons


def _by_table(setting: Setting, model: nn.Module, batch_size: int) -> tuple[int, str | None]:
    if setting.device.type != "cpu":
        return 1, OTHER_DEVICE
    layers = (
        module for module in model.modules() if next(module.parameters(recurse=False), None) is not None
    )
    if not all(isinstance(layer, nn.Linear) for layer in layers):
        return 1, OTHER_LAYERS
    parameters = sum(parameter.numel() for parameter in model.parameters())
    width = best_width(parameters, batch_size, setting.experiment.search.trials)
    return width, TOO_LARGE if width == 1 else None


def _of_workload(setting: Setting, model: nn.Module, *, steady: bool) -> Iterator[str]:
    workload = setting.workload
    if setting.together:
        yield "torchrun's processes train each trial together"
    if not steady or workload.train_transform is not None:
        yield "the workload changes or draws something while it is trained on"
    if not all(is_built_in(one) or one is squared_error for one in (workload.training_loss, workload.metric)):
        yield "the loss or the metric is not one of those of headrace.training.losses"
    if next(model.buffers(), None) is not None:
        yield "the model has buffers, such as running means"
    parameters = list(model.parameters())
    if not all(parameter.requires_grad for parameter in parameters):
        yield "the model has parameters that are not trained"
    if len({(parameter.dtype, parameter.device) for parameter in parameters}) > 1:
        yield "the model's parameters have several types"
    if not batchwise(workload, setting.new_model(setting.experiment.studies()[0], 0)):
        yield "what the model does with a batch is not what it does with its parts"
    if not _stackable(setting, model):
        yield "torch.func cannot compute several of these models as one"


def _twice(values: Tensor) -> Tensor:
    return torch.stack([values, values])


def _stackable(setting: Setting, model: nn.Module) -> bool:
    """Whether a pack of two gives the outputs, losses and gradients of the model."""
    with random.torch_stream(0, "inspection", "packs"):
        fetched = setting.workload.training_data.fetch(
            torch.arange(min(_EXAMPLES, len(setting.workload.train)))
        )
        inputs, targets = fetched
        loss = setting.workload.training_loss
        model.train()
        try:
            stacked = Stacked(model, width=2, loss=loss)
            rows = stacked.rows() + stacked.row(model)
            shares = rows.new_full((2, len(targets)), 1 / len(targets))
            gradients, sums, outputs = stacked.gradients(rows, _twice(inputs), _twice(targets), shares)
            model.zero_grad()
            own = model(inputs)
            mean = loss(own, targets).mean()
            mean.backward()
        except _TROUBLE:
            return False
        found = [nn.utils.parameters_to_vector(stacked.model(row).parameters()) for row in gradients]
        expected = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()]
        )
    pairs = [(outputs[0], own), (outputs[1], own), (sums[0], mean), (found[0], expected)]
    return all(torch.allclose(a, b, rtol=_RELATIVE, atol=_ABSOLUTE) for a, b in pairs)
