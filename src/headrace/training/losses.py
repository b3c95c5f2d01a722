"""Losses and metrics: one number per example, so that examples can be weighed, chosen and recorded.

A target of `IGNORED` (-100, as in `torch.nn.functional.cross_entropy`) marks padding: it counts neither in
the numerator nor in the denominator. An example whose targets are all ignored has a loss and an error of 0,
so it moves no weight in training; an evaluation leaves it out of its means (`counted_examples`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature

from jaxtyping import Float, Float32, Shaped
from torch import Tensor
from torch.nn import functional

from headrace.errors import InputError

Loss = Callable[[Tensor, Tensor], Tensor]
"""`(outputs [batch, ...], targets [batch, ...]) -> [batch]`; the loop takes weighted sums of it."""

Metric = Loss
"""As a loss; its mean over a split is the metric of the split, and lower is better."""

Weigh = Callable[[Tensor], Tensor]
"""`targets [batch, ...] -> [batch]`: how much each example counts in a mean over a split."""

IGNORED = -100
"""The target of padding and of anything else that must not be learnt."""


def cross_entropy(
    outputs: Float[Tensor, "batch classes ..."],
    targets: Shaped[Tensor, "batch ..."],
    label_smoothing: float = 0.0,
) -> Float[Tensor, " batch"]:
    """Cross-entropy of the softmax of `outputs`, in nats.

    With label smoothing e (Szegedy et al. 2016) the target distribution over C classes is
    `(1 - e) onehot + e / C`. If targets have further axes (tokens, pixels), an example's loss is the mean
    over those that are not `IGNORED`, with and without smoothing; 0 if all are ignored.

    Args:
        outputs: Logits; the classes are the second axis.
        targets: Class numbers of any integer type, or distributions over the classes, of the outputs' shape.
        label_smoothing: e, from 0 up to 1.

    Raises:
        InputError: The targets' shape does not fit the outputs', or they are real numbers.
    """
    if targets.is_floating_point():
        if outputs.shape != targets.shape or outputs.dim() < 2:
            raise _wrong_shape("cross_entropy", outputs, targets)
        targets = targets.to(outputs.dtype)
    else:
        _check_class_axes("cross_entropy", outputs, targets)
        targets = _wide(targets)
    losses = functional.cross_entropy(
        outputs, targets, reduction="none", label_smoothing=label_smoothing, ignore_index=IGNORED
    )
    return _mean_of_counted(losses, targets)


def token_cross_entropy(
    outputs: Float[Tensor, "batch vocabulary tokens"],
    targets: Shaped[Tensor, "batch tokens"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, " batch"]:
    """The loss of a language model: `cross_entropy`, computed in one row per token.

    For outputs that are a transposed `[batch, tokens, vocabulary]`, as a language model gives them, no copy
    is made, and the loss is as fast as that of a loop written by hand. A sequence's loss is the mean over its
    targets that are not `IGNORED`; 0 if all are ignored.

    Args:
        outputs: Logits; the vocabulary is the second axis.
        targets: The next token at each place, of any integer type.
        label_smoothing: As in `cross_entropy`.

    Raises:
        InputError: The targets' shape does not fit the outputs', or they are real numbers.
    """
    if targets.is_floating_point():
        raise InputError("targets must be token numbers", where="targets", got=str(targets.dtype))
    _check_class_axes("token_cross_entropy", outputs, targets)
    wide = _wide(targets)
    rows = outputs.movedim(1, -1)
    losses = functional.cross_entropy(
        rows.reshape(-1, rows.shape[-1]),
        wide.reshape(-1),
        reduction="none",
        label_smoothing=label_smoothing,
        ignore_index=IGNORED,
    )
    return _mean_of_counted(losses.view(wide.shape), wide)


def classification_error(
    outputs: Float[Tensor, "batch classes ..."], targets: Shaped[Tensor, "batch ..."]
) -> Float32[Tensor, " batch"]:
    """1 if the largest output is not the target's, else 0; the first of equal outputs counts.

    A row with NaN is an error, regardless of its largest output. If targets have further axes, the share of
    errors among those that are not `IGNORED`; 0 if all are ignored.

    Raises:
        InputError: The targets' shape does not fit the outputs'.
    """
    _check_class_axes("classification_error", outputs, targets)
    targets = _wide(targets)
    largest, predicted = outputs.max(1)
    wrong = ((predicted != targets) | largest.isnan()) & (targets != IGNORED)
    return _mean_of_counted(wrong.float(), targets)


def squared_error(
    outputs: Float[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    """Squared difference, the mean over an example's outputs; `[batch, 1]` and `[batch]` fit each other.

    Raises:
        InputError: The shapes differ otherwise.
    """
    if outputs.dim() == targets.dim() + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    elif targets.dim() == outputs.dim() + 1 and targets.shape[-1] == 1:
        targets = targets.squeeze(-1)
    if outputs.shape != targets.shape:
        raise InputError(
            f"squared_error needs targets of the outputs' shape {tuple(outputs.shape)}",
            where="targets",
            got=tuple(targets.shape),
        )
    errors = functional.mse_loss(outputs, targets.to(outputs.dtype), reduction="none")
    return errors if errors.dim() == 1 else errors.flatten(1).mean(1)


def smoothed(loss: Loss, label_smoothing: float) -> Loss:
    """The loss with label smoothing; with none, the loss itself.

    Raises:
        InputError: The loss takes no label smoothing.
    """
    if label_smoothing == 0:
        return loss
    try:
        signature(loss).bind(None, None, label_smoothing=label_smoothing)
    except TypeError:
        raise InputError(
            "the loss takes no label_smoothing",
            where="label_smoothing",
            got=label_smoothing,
            fix="Set it to 0, or give the loss a keyword argument label_smoothing.",
        ) from None
    any_loss: Callable[..., Tensor] = loss
    return partial(any_loss, label_smoothing=label_smoothing)


IGNORING: frozenset[Callable[..., Tensor]] = frozenset(
    {cross_entropy, token_cross_entropy, classification_error}
)
"""The built-in losses and metrics of classes, which leave `IGNORED` targets out."""


def is_built_in(function: Callable[..., Tensor]) -> bool:
    """Whether this is a loss or metric of `IGNORING`, arguments given by `functools.partial` or not."""
    return (function.func if isinstance(function, partial) else function) in IGNORING


def counted_targets(targets: Shaped[Tensor, "batch ..."]) -> Float32[Tensor, " batch"]:
    """How many of each example's targets are not `IGNORED`: documents weigh as much as they are long."""
    return (_wide(targets) != IGNORED).reshape(len(targets), -1).sum(1).float()


def counted_examples(targets: Shaped[Tensor, "batch ..."]) -> Float32[Tensor, " batch"]:
    """1 for each example, except 0 if all of its targets are `IGNORED`."""
    return (_wide(targets) != IGNORED).reshape(len(targets), -1).any(1).float()


def weighted_by_targets(loss: Loss, mean: float) -> Loss:
    """The loss in which an example weighs as much as it has targets that count.

    Args:
        loss: One loss per example, the mean over its targets that count.
        mean: The mean number of such targets over the training set. A weight is an example's number over it,
            so weights are 1 on average and a step's loss is, in expectation over its batch, the mean over all
            counted targets of the training set.
    """

    def weighted(outputs: Tensor, targets: Tensor, **settings: float) -> Tensor:
        losses = loss(outputs, targets, **settings)
        return losses * (counted_targets(targets) / mean).to(losses.dtype)

    return weighted


def _wide(targets: Tensor) -> Tensor:
    """Class numbers as int64: a byte of 156 would be equal to -100."""
    return targets if targets.is_floating_point() else targets.long()


def _mean_of_counted(values: Tensor, targets: Tensor) -> Tensor:
    if values.dim() == 1:
        return values
    values = values.flatten(1)
    if targets.is_floating_point():
        return values.mean(1)
    return values.sum(1) / (targets != IGNORED).flatten(1).sum(1).clamp(min=1)


def _check_class_axes(name: str, outputs: Tensor, targets: Tensor) -> None:
    if outputs.dim() < 2 or outputs.shape[1] < 2 or outputs.shape[:1] + outputs.shape[2:] != targets.shape:
        raise _wrong_shape(name, outputs, targets)


def _wrong_shape(name: str, outputs: Tensor, targets: Tensor) -> InputError:
    if outputs.dim() < 2 or outputs.shape[1] == 1:
        what = f"{name} needs one output for each class, at least two: outputs [batch, classes, ...]"
        fix = "Let the model return two outputs for yes or no, or give a loss and a metric of your own."
        return InputError(what, where="outputs", got=tuple(outputs.shape), fix=fix)
    expected = outputs.shape[:1] + outputs.shape[2:]
    return InputError(
        f"{name} needs class numbers of shape {tuple(expected)} for outputs of shape {tuple(outputs.shape)}",
        where="targets",
        got=f"{targets.dtype} {tuple(targets.shape)}",
        fix=_shape_fix(outputs, targets),
    )


def _shape_fix(outputs: Tensor, targets: Tensor) -> str:
    shape, given = tuple(outputs.shape), tuple(targets.shape)
    if given == (shape[0], 1, *shape[2:]):
        return "Use targets.squeeze(1)."
    if targets.dim() == 2 and len(shape) == 3 and given == shape[:2]:
        return "The classes must be the second axis: let the model return outputs.transpose(1, 2)."
    if given == shape:
        return (
            "Use targets.argmax(1) for one-hot targets; several labels per example need a loss and a metric "
            "of your own, such as binary cross-entropy."
        )
    if targets.is_floating_point() and targets.dim() == 1:
        return "Use targets.long() for class numbers; for regression give squared_error as loss and metric."
    return "Give one class number for each row of outputs."
