"""Several models of one kind as one: their weights are the rows of one tensor, batched by torch.func.

What a row comes to depends on its place among the rows and on their number, because a processor's kernels may
round otherwise at another address; it does not depend on what the other rows hold.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from headrace.training.evaluation import Measures, evaluation_mode
from headrace.training.losses import Loss

ALIGNED = 32
"""Each parameter begins at a multiple of this many numbers, so that all rows are laid out alike."""

Rows = Float[Tensor, "lanes parameters"]


class Stacked:
    """A number of models, all of one kind, that are computed together.

    Args:
        model: One of them, for its kind; in training mode. All of its parameters are trained, it has no
            buffers, and it draws nothing.
        width: How many.
        loss: One loss per example, each of its own example alone; so it is called once for all models.

    Attributes:
        width: How many.
        matrices: 1 for the numbers of parameters of at least two axes, else 0 [parameters].
    """

    def __init__(self, model: nn.Module, *, width: int, loss: Loss) -> None:
        self.width = width
        self._model = copy.deepcopy(model)
        self._named = {name: parameter.detach() for name, parameter in self._model.named_parameters()}
        self._sizes = [-(-one.numel() // ALIGNED) * ALIGNED for one in self._named.values()]
        first = next(iter(self._named.values()))
        self._like = torch.zeros(0, dtype=first.dtype, device=first.device)
        dims = [one.dim() for one in self._named.values()]
        self.matrices = torch.cat(
            [
                self._like.new_full((size,), float(axes > 1))
                for size, axes in zip(self._sizes, dims, strict=True)
            ]
        )
        self._loss = loss
        self._gradients = Recorded(self._compute)
        self._measures: dict[Measures, Recorded] = {}

    def rows(self) -> Rows:
        """As many rows of zeros as there are models."""
        return self._like.new_zeros(self.width, sum(self._sizes))

    def row(self, model: nn.Module) -> Float[Tensor, " parameters"]:
        """The weights of a model as a row."""
        row = self._like.new_zeros(sum(self._sizes))
        for part, parameter in zip(row.split(self._sizes), model.parameters(), strict=True):
            part[: parameter.numel()] = parameter.detach().flatten()
        return row

    def model(self, row: Float[Tensor, " parameters"]) -> nn.Module:
        """A model with the weights of a row; it has them until the next one is asked for."""
        with torch.no_grad():
            for part, parameter in zip(row.split(self._sizes), self._model.parameters(), strict=True):
                parameter.copy_(part[: parameter.numel()].view_as(parameter))
        return self._model

    def gradients(
        self,
        rows: Rows,
        inputs: Shaped[Tensor, "lanes batch ..."],
        targets: Shaped[Tensor, "lanes batch ..."],
        shares: Float[Tensor, "lanes batch"],
    ) -> tuple[Rows, Float[Tensor, " lanes"], Shaped[Tensor, "lanes batch ..."]]:
        """The gradient of each model's `sum(share * loss)`, that sum, and the outputs."""
        return self._gradients(rows, inputs, targets, shares)

    def measure(
        self, measures: Measures, rows: Rows, inputs: Shaped[Tensor, "batch ..."], targets: Tensor
    ) -> Float[Tensor, "lanes sums"]:
        """The sums over a batch that `measures` gives, of each model in evaluation mode."""
        if measures not in self._measures:
            self._measures[measures] = Recorded(partial(self._sums, measures))
        with evaluation_mode(self._model), torch.no_grad():
            return self._measures[measures](rows, inputs, targets)

    def _outputs(self, rows: Rows, inputs: Tensor, lanes: int | None) -> Tensor:
        parts = zip(self._named.items(), rows.split(self._sizes, 1), strict=True)
        stacked = {name: part[:, : one.numel()].view(-1, *one.shape) for (name, one), part in parts}

        def one(parameters: dict[str, Tensor], some: Tensor) -> Tensor:
            return functional_call(self._model, parameters, (some,))

        return vmap(one, in_dims=(0, lanes))(stacked, inputs)

    def _compute(
        self, rows: Tensor, inputs: Tensor, targets: Tensor, shares: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = rows.detach().requires_grad_()
        outputs = self._outputs(weights, inputs, 0)
        losses = self._loss(outputs.flatten(0, 1), targets.flatten(0, 1)).view_as(shares)
        (gradients,) = torch.autograd.grad(losses, weights, shares)
        return gradients, (losses.detach() * shares).sum(1), outputs.detach()

    def _sums(self, measures: Measures, rows: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        outputs = self._outputs(rows, inputs, None)
        alike = targets.expand(self.width, *targets.shape).flatten(0, 1)
        return measures.sums(outputs.flatten(0, 1), alike, lanes=self.width)


class Recorded:
    """A function of tensors whose operations are recorded at its first call with their shapes.

    Without torch.func and autograd in between, which cost more than the arithmetic of a small model.

    Args:
        function: Does the same for all tensors of the same shapes; calls no random generator.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        # A function by itself: of a method, torch.fx would count `self` as an argument.
        self._plain = lambda *given: function(*given)  # noqa: PLW0108
        self._made: dict[tuple[object, ...], Callable[..., Any]] = {}

    def __call__(self, *tensors: Tensor) -> Any:
        """What the function makes of them."""
        key = tuple((one.shape, one.dtype) for one in tensors)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = make_fx(self._plain)(*tensors)
        with torch.no_grad():
            return made(*tensors)
