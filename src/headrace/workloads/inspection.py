"""A workload checked with an untrained model before anything is trained: what would fail later, or be wrong.

The kind of targets is found out here and nowhere else; everything later reads `Workload.targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from headrace import random
from headrace.errors import InputError
from headrace.nested import rows
from headrace.training.evaluation import evaluation_mode
from headrace.training.losses import IGNORED, counted_targets, is_built_in
from headrace.workloads.direction import check_direction
from headrace.workloads.independence import check_independence
from headrace.workloads.stating import state_kind

if TYPE_CHECKING:
    from headrace.workloads._base import Workload

SAMPLE = 16
"""Training examples that go through the untrained model; evenly spaced over the split."""
TARGETS = 256
"""Targets of a split that are looked at if it does not hold them in one tensor."""

_TROUBLE = (RuntimeError, TypeError, ValueError, LookupError, AttributeError)
"""What a model, a loss or a metric raise for tensors that they cannot take."""


def inspected(workload: Workload, model: nn.Module, *, hidden: bool = False, trains: bool = True) -> Workload:
    """The workload with its kind of targets stated, after all that can be checked without training.

    A sample of the training examples goes through the model, the loss and the metric, once in training mode
    and with gradients. Torch's random state is left as it was.

    Args:
        workload: On the model's device.
        model: Untrained, to be thrown away: buffers such as running means change.
        hidden: Whether the training targets must not be used: people give them later.
        trains: Whether such models are trained; if they only score, the loss and the metric are not asked.

    Raises:
        InputError: The model has nothing to train, is not made anew by each call, cannot take the inputs or
            returns something other than one tensor; the targets are not what the outputs, the loss and the
            metric need; the loss or the metric does not give one finite number for each example, or the loss
            has no gradient; the metric is higher for better outputs.
    """
    if trains and not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError(
            "the model has no parameter that requires a gradient",
            where="build_model",
            fix="Return a torch module with parameters, and set requires_grad on those to train.",
        )
    if trains:
        _check_fresh(workload, model)
    split = "validation" if hidden else "train"
    with random.torch_stream(0, "inspection"):
        inputs, targets = _sample(workload, split, SAMPLE)
        model.train(trains and len(targets) > 1)
        outputs = _outputs(model, inputs, targets)
        stated = state_kind(workload, outputs, targets, split)
        if not trains:
            return stated
        for name in ("validation", "test") if hidden else ("train", "validation", "test"):
            if getattr(workload, name) is not None:
                _check_targets(stated, name, outputs)
        _check_classes_axis(stated, model, inputs, outputs)
        _check_inputs(stated, model)
        _check_loss(stated, split, outputs, targets)
        _check_metric(stated, split, outputs.detach(), targets)
    check_direction(stated, outputs.detach(), targets)
    return stated


def _check_fresh(workload: Workload, model: nn.Module) -> None:
    """Refuse models that share trained parameters: the second trial would begin where the first has ended."""
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    with random.torch_stream(0, "inspection"):
        again = workload.build_model()
    if any(id(parameter) in trained for parameter in again.parameters()):
        raise InputError(
            "a second call returns parameters of the first: every trial would begin where another ended",
            where="build_model",
            fix="Make the model within the function, so that each call returns a new one.",
        )


def _sample(workload: Workload, split: str, size: int) -> tuple[Any, Tensor]:
    """Inputs and targets of up to `size` examples, evenly spaced over the split."""
    data = workload.training_data if split == "train" else workload.evaluation_data(split)
    size = min(size, len(data))
    found: Any = data.fetch(torch.arange(size) * len(data) // size)
    for name, part in zip(("inputs", "targets"), found, strict=False):
        single = isinstance(part, Tensor)
        if rows(part) != size or not (single or name == "inputs"):
            several = " (or several in a dict or a tuple)" if name == "inputs" else ""
            raise InputError(
                f"fetch must give {name} as one tensor{several}, with one row for each of {size} examples",
                where=split,
                got=tuple(part.shape) if single else type(part).__name__,
            )
    inputs, targets = found
    return inputs, targets


def _outputs(model: nn.Module, inputs: Any, targets: Tensor) -> Float[Tensor, "batch ..."]:
    try:
        outputs: Any = model(inputs)
    except _TROUBLE as error:
        fix = _inputs_fix(model, inputs, error)
        if fix is None:
            raise
        kind = inputs.dtype if isinstance(inputs, Tensor) else f"a {type(inputs).__name__}"
        what = f"the model cannot take these inputs: {error}"
        raise InputError(what, where="train", got=f"inputs of {kind}", fix=fix) from error
    if isinstance(outputs, Tensor) and outputs.is_floating_point() and outputs.shape[:1] == targets.shape[:1]:
        return outputs
    if isinstance(outputs, Tensor):
        got, fix = f"{outputs.dtype} of shape {tuple(outputs.shape)}", "The first axis must be the batch."
    else:
        got = type(outputs).__name__
        part = _part(outputs)
        fix = f"Give Workload(call=lambda model, inputs: model(inputs){part})." if part else None
    raise InputError(
        f"the model must return one tensor of floating-point numbers for {len(targets)} examples",
        where="build_model",
        got=got,
        fix=fix,
    )


def _part(outputs: object) -> str:
    """How to get at the tensor in what a model returned."""
    if hasattr(outputs, "logits"):
        return ".logits"
    if isinstance(outputs, dict):
        return f"[{next(iter(outputs), 'logits')!r}]"
    return "[0]" if isinstance(outputs, tuple | list) else ""


def _inputs_fix(model: nn.Module, inputs: Any, error: Exception) -> str | None:
    """What to do about inputs that are given in another way, or of another type; None if that is not it."""
    if not isinstance(inputs, Tensor):
        stars = "**" if isinstance(inputs, Mapping) else "*"
        return f"Say how the model is called: Workload(call=lambda model, inputs: model({stars}inputs))."
    if isinstance(error, IndexError) and not inputs.is_floating_point():
        return (
            f"They run from {int(inputs.min())} to {int(inputs.max())}: let the embedding have as many rows."
        )
    wanted = next((p.dtype for p in model.parameters() if p.is_floating_point()), inputs.dtype)
    if inputs.dtype == wanted:
        return None
    name = str(wanted).removeprefix("torch.")
    if inputs.is_floating_point():
        return f"The model's parameters are {name}: give inputs.to(torch.{name}), or convert in a transform."
    return f"The model's parameters are {name}: convert by a transform, for pixels by Pixels()."


def _check_targets(workload: Workload, split: str, outputs: Tensor) -> None:
    """The targets of a split: all of them if they are in one tensor, or a sample."""
    data: Any = getattr(workload, split)
    held = getattr(data, "targets", None)
    if not isinstance(held, Tensor) or len(held) != len(data):
        held = _sample(workload, split, TARGETS)[1]
    targets: Tensor = held
    if targets.is_floating_point():
        _check_finite(targets, split)
    built_in = is_built_in(workload.loss) or is_built_in(workload.metric)
    if workload.targets == "tokens" and split == "train" and is_built_in(workload.loss):
        _check_counted(targets)
    if workload.targets in ("classes", "tokens") and (built_in or workload.targets == "classes"):
        _check_numbers(targets, split, outputs, ignoring=split != "train" or workload.targets == "tokens")
    if workload.targets == "numbers" and is_built_in(workload.loss) and targets.is_floating_point():
        _check_distributions(targets, split)


def _check_inputs(workload: Workload, model: nn.Module) -> None:
    """Refuse inputs with NaN or infinite numbers of which the model makes such outputs, in any split.

    One of them in a batch makes every later parameter NaN: each trial would end as if it had diverged.
    """
    for split in ("train", "validation", "test"):
        data: Any = getattr(workload, split)
        held = getattr(data, "inputs", None)
        if not isinstance(held, Tensor) or not held.is_floating_point() or len(held) != len(data):
            continue
        bad = (~held.isfinite()).reshape(len(held), -1).any(1).nonzero()[:, 0]
        if not len(bad):
            continue
        inputs, _ = workload.evaluation_data(split).fetch(bad[:SAMPLE].cpu())
        with evaluation_mode(model), torch.no_grad():
            unsound = ~model(inputs).isfinite().reshape(len(inputs), -1).all(1)
        if bool(unsound.any()):
            raise InputError(
                f"{len(bad)} examples have inputs that are NaN or infinite, and so are the model's outputs",
                where=f"{split}, example {int(bad[int(unsound.nonzero()[0, 0])])}",
                fix="Leave them out, or replace such numbers, for example by torch.nan_to_num.",
            )


def _check_finite(targets: Shaped[Tensor, "examples ..."], split: str) -> None:
    missing = targets.flatten(1).isnan().any(1) if targets.dim() > 1 else targets.isnan()
    if not bool(missing.any()):
        return
    raise InputError(
        f"{int(missing.sum())} targets are NaN",
        where=f"{split}, example {int(missing.nonzero()[0, 0])}",
        fix="Leave out examples without a target.",
    )


def _check_counted(targets: Tensor) -> None:
    """Refuse training examples without a target: their loss of 0 would look like that of the easiest."""
    empty = counted_targets(targets) == 0
    if not bool(empty.any()):
        return
    raise InputError(
        f"all targets are {IGNORED}, so there is nothing to learn from it",
        where=f"train, example {int(empty.nonzero()[0, 0])}",
        got=f"{int(empty.sum())} such examples",
        fix="Leave them out.",
    )


def _check_numbers(targets: Tensor, split: str, outputs: Tensor, *, ignoring: bool) -> None:
    """Class numbers: whole, from 0, below the number of outputs."""
    if outputs.dim() < 2 or outputs.shape[1] < 2 or targets.is_floating_point():
        return  # The loss or the metric says what it needs.
    wide, classes = targets.long(), outputs.shape[1]
    bad = (wide < 0) | (wide >= classes)
    if ignoring:
        bad &= wide != IGNORED
    if not bool(bad.any()):
        return
    place = tuple(bad.nonzero()[0].tolist())
    raise InputError(
        f"class numbers must be from 0 to {classes - 1}, because the model has {classes} outputs",
        where=f"{split}, target {place[0] if len(place) == 1 else place}",
        got=int(wide[place]),
        fix=_numbers_fix(wide[bad], wide, classes, single=len(place) == 1),
    )


def _numbers_fix(bad: Tensor, targets: Tensor, classes: int, *, single: bool) -> str:
    values = set(bad.unique()[:100].tolist())
    if values == {classes} and int(targets.min()) == 1:
        return "Labels 1, 2, ... must be counted from 0: use targets - 1."
    if values == {-1} and set(targets.unique().tolist()) == {-1, 1}:
        return "Use (targets + 1) // 2 for labels -1 and 1."
    if values == {IGNORED}:
        return "Leave the examples without a label out of the training split."
    if single and min(values) < 0:
        return f"Leave out the {len(bad)} examples without a label."
    if values <= {-1, 255}:
        return f"Replace {values.pop()} by -100 if it marks what must not be learnt."
    return "Count classes from 0, or give the model more outputs."


def _check_distributions(targets: Float[Tensor, "examples classes"], split: str) -> None:
    if targets.dim() < 2:
        return
    bad = (targets < 0).any(1) | ((targets.sum(1) - 1).abs() > 1e-2)
    if not bool(bad.any()):
        return
    first = int(bad.nonzero()[0, 0])
    raise InputError(
        "cross_entropy needs a class number or probabilities that sum to one for each example",
        where=f"{split}, target {first}",
        got=targets[first].tolist(),
        fix="For several labels per example give binary cross-entropy as loss and a metric of your own.",
    )


def _check_classes_axis(workload: Workload, model: nn.Module, inputs: Any, outputs: Tensor) -> None:
    """Outputs [batch, time, classes] of as many classes as times look like [batch, classes, time]."""
    if workload.targets != "tokens" or not is_built_in(workload.loss) or outputs.dim() != 3:
        return
    if not isinstance(inputs, Tensor):
        return
    length = outputs.shape[1]
    if outputs.shape[2] != length or inputs.shape[1:2] != (length,) or length < 2:
        return
    try:
        with evaluation_mode(model), torch.no_grad():
            shorter: Any = model(inputs[:, :-1])
    except _TROUBLE:
        return  # It takes one length only.
    if isinstance(shorter, Tensor) and tuple(shorter.shape[1:]) == (length - 1, length):
        raise InputError(
            "the model's outputs are [batch, tokens, classes]; cross_entropy needs [batch, classes, tokens]",
            where="build_model",
            fix="Let the model return outputs.transpose(1, 2).",
        )


def _check_loss(workload: Workload, split: str, outputs: Tensor, targets: Tensor) -> None:
    losses = _measured("loss", workload.loss, outputs, targets)
    _check_values("loss", losses, outputs, split)
    check_independence("loss", workload.loss, outputs, targets, losses)
    if not losses.requires_grad:
        raise InputError(
            "the loss has no gradient",
            where="loss",
            fix="Leave out .detach(), .item(), argmax and torch.no_grad() in the model and in the loss.",
        )


def _check_metric(workload: Workload, split: str, outputs: Tensor, targets: Tensor) -> None:
    with torch.no_grad():
        values = _measured("metric", workload.metric, outputs, targets)
    _check_values("metric", values, outputs, split)
    check_independence("metric", workload.metric, outputs, targets, values)


def _measured(
    name: str, measure: Callable[[Tensor, Tensor], object], outputs: Tensor, targets: Tensor
) -> Shaped[Tensor, " batch"]:
    values = measure(outputs, targets)
    if isinstance(values, Tensor) and values.shape == targets.shape[:1]:
        return values
    fix = "Leave out .mean() and .item()." if name == "metric" else "Use reduction='none'."
    if isinstance(values, Tensor) and values.dim() > 1:
        fix = "Take the mean over all axes except the first: .flatten(1).mean(1)."
    raise InputError(
        f"{name} must give one number per example: shape [{len(targets)}] for {len(targets)} examples",
        where=name,
        got=list(values.shape) if isinstance(values, Tensor) else type(values).__name__,
        fix=fix,
    )


def _check_values(name: str, values: Tensor, outputs: Tensor, split: str) -> None:
    bad = ~values.isfinite()
    if not bool(bad.any()):
        return
    first = int(bad.nonzero()[0, 0])
    sound = bool(outputs[first].isfinite().all())
    what = "although its outputs are finite" if sound else "because its outputs are not finite"
    raise InputError(
        f"the {name} of an untrained model is not finite, {what}",
        where=f"{name}, example {first} of a sample of {split}",
        got=float(values.detach()[first]),
        fix=f"Fix the {name}." if sound else "Look for NaN in the inputs, and scale them.",
    )
