"""The kind of a workload's targets: checked if it is stated, found out if not; all else reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from headrace.errors import InputError
from headrace.training.losses import is_built_in, squared_error

if TYPE_CHECKING:
    from headrace.workloads._base import Workload
    from headrace.workloads.kinds import Targets

_FORMS: dict[Targets, str] = {
    "classes": "one class number for each example",
    "labels": "0 or 1 for each class, of the outputs' shape",
    "tokens": "class numbers for the tokens of each example",
}


def state_kind(workload: Workload, outputs: Tensor, targets: Tensor, split: str) -> Workload:
    """The workload with its kind of targets, and the number of classes if there are some.

    Args:
        workload: What it states is checked and stays.
        outputs: Of an untrained model, for some examples [batch ...].
        targets: Of the same examples [batch ...].
        split: Where they are from.

    Raises:
        InputError: The targets are not of the stated kind, or the model has another number of outputs.
    """
    kind = workload.targets
    if kind is None:
        kind = kind_of(workload, outputs, targets)
    elif not _fits(kind, outputs, targets):
        raise InputError(
            f"targets={kind!r} needs {_FORMS[kind]}",
            where=split,
            got=f"targets {targets.dtype} {tuple(targets.shape)}, outputs {tuple(outputs.shape)}",
            fix="State another kind, or leave targets= out.",
        )
    found = _classes(kind, workload, outputs, targets)
    if None not in (found, workload.outputs) and found != workload.outputs:
        raise InputError(
            "the model has another number of outputs than the workload states",
            where="outputs",
            got=f"{found}, not {workload.outputs}",
            fix="Change one of them, or leave outputs= out.",
        )
    return replace(workload, targets=kind, outputs=workload.outputs if found is None else found)


def kind_of(workload: Workload, outputs: Tensor, targets: Tensor) -> Targets:
    """The kind of the targets of a workload that does not state it."""
    measures = (workload.loss, workload.metric)
    built_in = any(map(is_built_in, measures))
    if not built_in and squared_error not in measures and _yes_or_no(targets, outputs):
        return "labels"
    if targets.is_floating_point():
        return "numbers"
    if targets.dim() > 1:
        return "tokens" if built_in or outputs.dim() == targets.dim() + 1 else "numbers"
    if built_in:
        return "classes"
    classes = outputs.shape[1] if outputs.dim() == 2 else 0
    fits = classes > 1 and squared_error not in measures
    return "classes" if fits and bool(((targets >= 0) & (targets < classes)).all()) else "numbers"


def _yes_or_no(targets: Tensor, outputs: Tensor) -> bool:
    """Whether targets are 0 or 1 for each of several outputs."""
    fits = targets.dim() == 2 and targets.shape == outputs.shape and targets.shape[1] > 1
    return fits and bool(((targets == 0) | (targets == 1)).all())


def _fits(kind: Targets, outputs: Tensor, targets: Tensor) -> bool:
    """Whether targets can be of this kind."""
    whole = not targets.is_floating_point()
    match kind:
        case "classes":
            return whole and targets.dim() == 1
        case "labels":
            return _yes_or_no(targets, outputs)
        case "tokens":
            return whole and targets.dim() > 1
        case "numbers":
            return True


def _classes(kind: Targets, workload: Workload, outputs: Tensor, targets: Tensor) -> int | None:
    """How many classes the outputs distinguish, if they do."""
    if kind == "tokens":
        return outputs.shape[1] if outputs.dim() == targets.dim() + 1 and is_built_in(workload.loss) else None
    return outputs.shape[1] if outputs.dim() == 2 and kind != "numbers" else None
