"""The gradient of one step: weighted, in the parts of workers and micro-batches, of chosen examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.sampling.batches import Batch
from headrace.training.data import ExampleData
from headrace.training.losses import Loss
from headrace.training.parallel._base import World
from headrace.training.precision import Precision, autocast


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Which candidates of a batch are trained on.

    Attributes:
        positions: Positions in the batch, `[chosen]`; at least one.
        weights: What each one's loss is multiplied by, or None if all are 1. They replace the batch's own.
    """

    positions: Int64[Tensor, " chosen"]
    weights: Float[Tensor, " chosen"] | None = None


Record = Callable[[Tensor, Tensor, Tensor], object]
"""`record(indices [batch], outputs [batch, ...], targets [batch, ...])`, of what was trained on.

With one worker it is called for each micro-batch, with several once per step, for the whole batch.
"""

Choose = Callable[[Tensor, Tensor, Tensor, Batch], Chosen]
"""`choose(outputs [batch, ...], targets [batch, ...], losses [batch], batch) -> Chosen`, once per step."""

_LOSS_FIX = "Return losses of shape [batch], for example with reduction='none'."


class Gradients:
    """Computes a step's gradient from its parts, and adds up the steps' losses."""

    def __init__(
        self,
        *,
        model: nn.Module,
        parameters: Sequence[nn.Parameter],
        data: ExampleData,
        loss: Loss,
        microbatch: int | None,
        record: Record | None,
        world: World,
        precision: Precision = "float32",
        compiled: bool = False,
    ) -> None:
        if microbatch is not None and microbatch < 1:
            raise InputError("must be at least 1 example", where="microbatch", got=microbatch)
        self.model = model
        self.parameters = parameters
        self.data = data
        self.loss = loss
        self.microbatch = microbatch
        self.record = record
        self.world = world
        self.loss_sum: Tensor | None = None
        self.precision: Precision = precision
        attached = world.attach(model)
        self._trained: Callable[..., Any] = torch.compile(attached) if compiled else attached
        self._stale = True

    def compute(self, batch: Batch) -> None:
        """Set the parameters' `grad` to the gradient of `sum(weight * loss) / size` of the global batch."""
        self._stale = True
        seen: list[tuple[Tensor, Tensor]] = []
        for worker, part in self.world.shares(batch):
            with self.world.playing(worker):
                seen += self._backward_part(batch, part)
        if self.record is not None and self.world.workers > 1:
            outputs, targets = (self.world.whole(rows, batch) for rows in zip(*seen, strict=True))
            self.record(batch.indices, outputs, targets)

    def _backward_part(self, batch: Batch, part: slice) -> list[tuple[Tensor, Tensor]]:
        """One worker's part; returns its micro-batches' outputs and targets if they must be recorded."""
        indices = batch.indices[part]
        weights = None if batch.weights is None else batch.weights[part]
        size = self.microbatch or len(indices)
        seen: list[tuple[Tensor, Tensor]] = []
        for start in range(0, len(indices), size):
            some = slice(start, start + size)
            with self.world.exchanging(last=some.stop >= len(indices)):
                outputs, targets = self._backward(
                    indices[some], None if weights is None else weights[some], len(batch)
                )
            if self.record is None:
                continue
            if self.world.workers == 1:
                self.record(indices[some], outputs, targets)
            else:
                seen.append((outputs, targets))
        return seen

    def _backward(
        self, indices: Int64[Tensor, " batch"], weights: Float[Tensor, " batch"] | None, size: int
    ) -> tuple[Tensor, Tensor]:
        inputs, targets = self.data.fetch(indices)
        with autocast(self.precision, self.model):
            outputs = self._trained(inputs)
            losses = self._losses(outputs, targets)
        shares = torch.full_like(losses, self.world.scale / size)
        if weights is not None:
            shares.mul_(weights.to(shares.device, non_blocking=True))
        if self._stale:
            self._drop_old_gradients()
        # The gradient of sum(share * loss), without nodes in the graph for the product and the sum.
        losses.backward(shares)
        part = torch.dot(losses.detach(), shares)
        # In no less than float32: a sum over many steps in half precision would stop growing.
        wide = torch.promote_types(part.dtype, torch.float32)
        self.loss_sum = part.to(wide) if self.loss_sum is None else self.loss_sum.add_(part)
        return outputs.detach(), targets

    def _drop_old_gradients(self) -> None:
        # Between forward and backward: freed before the forward pass, their memory goes back to the system
        # and must be paged in anew, which costs a CNN 5% of its step on the CPU.
        for parameter in self.parameters:
            parameter.grad = None
        self._stale = False

    def _losses(
        self, outputs: Shaped[Tensor, "batch ..."], targets: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        losses = self.loss(outputs, targets)
        if losses.shape != targets.shape[:1]:
            raise InputError(
                "must return one number per example", where="loss", got=tuple(losses.shape), fix=_LOSS_FIX
            )
        return losses

    @torch.no_grad()
    def choose(self, batch: Batch, choose: Choose) -> Batch:
        """Forward the candidates without gradients, and let `choose` pick among them."""
        outputs: list[Tensor] = []
        targets: list[Tensor] = []
        self.world.settle()
        for worker, part in self.world.shares(batch):
            with self.world.playing(worker):
                for indices in batch.indices[part].split(self.microbatch or len(batch)):
                    inputs, some_targets = self.data.fetch(indices)
                    with autocast(self.precision, self.model):
                        outputs.append(self.model(inputs))
                    targets.append(some_targets)
        all_outputs, all_targets = self.world.whole(outputs, batch), self.world.whole(targets, batch)
        chosen = choose(all_outputs, all_targets, self._losses(all_outputs, all_targets), batch)
        if len(chosen.positions) == 0:
            raise InputError("must choose at least one example", where="choose", got=0)
        indices = batch.indices.to(chosen.positions.device, non_blocking=True)
        return Batch(
            indices=indices.index_select(0, chosen.positions), weights=chosen.weights, epoch=batch.epoch
        )

    def take_loss(self) -> float:
        """The sum of the steps' losses since the last call, of all workers; the host waits for the device."""
        total = 0.0
        if self.loss_sum is not None:
            total = float(self.world.total(self.loss_sum)) / self.world.scale
        self.loss_sum = None
        return total
