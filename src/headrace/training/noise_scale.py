"""`NoiseScale`: the gradient noise scale of a training loop, from its micro-batches or its ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from headrace.checks import instance, number, whole
from headrace.errors import InputError
from headrace.training.noise import NoiseEstimate, estimate, parts_and_whole

_BLOCK = 1024


class NoiseScale:
    """Measures the gradient noise scale while a loop trains, for a few microseconds per step.

    A step's gradient is the sum of several parts: the micro-batches of gradient accumulation, the ranks of
    data parallelism, or both. Hooks on the parameters take the norm of each part as `backward()` makes it;
    `step` takes that of the whole. Nothing waits for the device and nothing is sent between ranks until
    `estimate`.

        noise = NoiseScale(model.parameters())
        for each step:
            for each micro-batch: backward()
            noise.step(examples)        # before clipping and before the optimizer's step
        print(noise.estimate())

    Every example must count the same in the step's gradient (a mean over it, not a mean of means of unequal
    micro-batches), and the gradients must have been zeroed before the step. If examples are drawn without
    replacement from N, the signal is that of the population behind the training set, |G_N|^2 - tr(Sigma)/N.

    Args:
        parameters: The trained parameters; those without gradients are left out.
        ranks: How many ranks average their gradients (DistributedDataParallel). With more than one,
            `estimate` and `pairs` are collective: every rank calls them, after as many steps.

    Raises:
        InputError: There is nothing to train.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, ranks: int = 1) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self._parameters:
            raise InputError("no parameter needs a gradient", where="parameters")
        self.ranks = whole(ranks, "ranks", least=1)
        self._norms: list[Tensor] = []
        self._calls = [0] * len(self._parameters)
        self._recent: list[Tensor] = []
        self._blocks: list[Tensor] = []
        self._examples: list[int] = []
        self._shares: list[float] = []
        self._hooks = [
            parameter.register_hook(partial(self._take, place))
            for place, parameter in enumerate(self._parameters)
        ]

    def _take(self, place: int, gradient: Tensor) -> None:
        """Note the norm of one parameter's gradient of one part; it is not yet added to the others."""
        self._calls[place] += 1
        self._norms.append(_norm(gradient))

    def __len__(self) -> int:
        """How many steps were measured."""
        return len(self._examples)

    def step(self, examples: int | Sequence[int]) -> None:
        """End a step, after its last `backward()`.

        Args:
            examples: The global batch size, in equal parts; or this rank's micro-batch sizes, if the last
                is smaller. Ranks have equal parts.

        Raises:
            InputError: The step had only one part, or another number of parts than sizes.
        """
        parts, norms = max(self._calls), self._norms
        self._norms, self._calls = [], [0] * len(self._parameters)
        total, share = self._shares_of(examples, parts)
        whole = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if not whole:
            raise InputError(
                "no parameter has a gradient", where="NoiseScale.step", fix="Call step() before zero_grad()."
            )
        squares = torch.stack([_sum_of_squares(norms), _sum_of_squares([_norm(grad) for grad in whole])])
        self._recent.append(squares)
        self._examples.append(total)
        self._shares.append(share)
        if len(self._recent) == _BLOCK:
            # Many small tensors cost a GPU half a kilobyte each.
            self._blocks.append(torch.stack(self._recent))
            self._recent = []

    def _shares_of(self, examples: int | Sequence[int], parts: int) -> tuple[int, float]:
        """The global batch size, and the sum of the squares of the parts' shares in it."""
        if parts * self.ranks < 2:
            raise InputError(
                "a step needs at least two parts",
                where="NoiseScale.step",
                got=f"{parts} backward passes",
                fix="Accumulate over two micro-batches or more, or use headrace.NoiseScale with ranks=.",
            )
        where = "NoiseScale.step: examples"
        if not isinstance(examples, Sequence):
            return whole(examples, where, least=1), 1 / (parts * self.ranks)
        examples = [whole(size, where, least=1) for size in examples]
        if len(examples) != parts:
            raise InputError(
                "must be as many sizes as backward passes",
                where="NoiseScale.step",
                got=f"{len(examples)} sizes and {parts} passes",
            )
        total = sum(examples)
        return total * self.ranks, sum((size / total) ** 2 for size in examples) / self.ranks

    def pairs(self) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
        """The estimates of |G|^2 and tr(Sigma) of every step; steps that overflowed are left out."""
        squares = self._squares()
        kept = np.isfinite(squares).all(axis=1)
        parts, whole = squares[kept].T
        examples, shares = np.array(self._examples, np.float64)[kept], np.array(self._shares)[kept]
        return parts_and_whole(parts / self.ranks**2, whole, examples, shares)

    def estimate(
        self, *, last: int | None = None, half_life: float | None = None, level: float = 0.95
    ) -> NoiseEstimate:
        """The noise scale so far; the host waits for the device.

        Args:
            last: Use only this many of the latest steps; None for all.
            half_life: Steps after which a step counts half; None for a plain average.
            level: The level of the interval.

        Raises:
            InputError: Nothing was measured yet, or a setting is out of range.
        """
        start = 0 if last is None else -whole(last, "last", least=1)
        signal, noise = self.pairs()
        return estimate(signal[start:], noise[start:], half_life=half_life, level=level)

    def _squares(self) -> Float[np.ndarray, "steps 2"]:
        """Per step, the sum over all parts of their squared norm, and the squared norm of the whole."""
        recent = [torch.stack(self._recent)] if self._recent else []
        if not self._blocks and not recent:
            return np.zeros((0, 2))
        squares = torch.cat([*self._blocks, *recent]).clone()
        if self.ranks > 1:
            import torch.distributed as dist

            parts = squares[:, 0].contiguous()
            dist.all_reduce(parts)
            squares[:, 0] = parts
        return squares.cpu().numpy().astype(np.float64)

    def state_dict(self) -> dict[str, Any]:
        """Plain data from which `load_state_dict` resumes: this rank's squared norms of every step."""
        blocks = [*self._blocks, *([torch.stack(self._recent)] if self._recent else [])]
        squares = [row for block in blocks for row in block.tolist()]
        return {
            "version": 1,
            "ranks": self.ranks,
            "squares": squares,
            "examples": [*self._examples],
            "shares": [*self._shares],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from `state_dict`; what was measured before is forgotten.

        Raises:
            InputError: The state is of another version, of another number of ranks, or no steps give it.
        """
        instance(state, Mapping, "state", "what state_dict() gave")
        for key, expected in (("version", 1), ("ranks", self.ranks)):
            if state.get(key) != expected:
                raise InputError(f"must be {expected}", where=f"state[{key!r}]", got=state.get(key))
        check_state(state)
        device, dtypes = self._parameters[0].device, [parameter.dtype for parameter in self._parameters]
        squares = torch.tensor(
            state["squares"], dtype=reduce(torch.promote_types, map(_wide, dtypes)), device=device
        )
        self._blocks, self._recent = ([squares] if len(squares) else []), []
        self._examples, self._shares = [*state["examples"]], [*state["shares"]]

    def close(self) -> None:
        """Remove the hooks from the parameters; what was measured stays."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def __enter__(self) -> Self:
        """The object itself; its hooks are removed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the hooks."""
        self.close()


def check_state(state: Mapping[str, Any]) -> None:
    """Refuse a state that no steps give: the squared norms may have overflowed, all else is finite.

    Raises:
        InputError: Names the entry and what is wrong.
    """
    squares, examples, shares = (
        instance(state.get(key), Sequence, f"state[{key!r}]", "a list with one entry per step")
        for key in ("squares", "examples", "shares")
    )
    lengths = {len(squares), len(examples), len(shares)}
    if len(lengths) > 1:
        what = "squares, examples and shares must have one entry per step each"
        raise InputError(what, where="state", got=sorted(lengths))
    for step, (pair, size, share) in enumerate(zip(squares, examples, shares, strict=True)):
        if not isinstance(pair, Sequence) or len(pair) != 2 or not all(_is_square(one) for one in pair):
            what = "must be two squared norms"
            raise InputError(what, where=f"state['squares'][{step}]", got=pair)
        whole(size, f"state['examples'][{step}]", least=1)
        number(share, f"state['shares'][{step}]", above=0, most=1)


def _is_square(value: Any) -> bool:
    return isinstance(value, int | float) and not value < 0


def _norm(gradient: Tensor) -> Float[Tensor, ""]:
    gradient = gradient.detach()
    return torch.linalg.vector_norm(gradient, dtype=_wide(gradient.dtype))


def _wide(dtype: torch.dtype) -> torch.dtype:
    """At least float32: half precision overflows at a norm of 65504."""
    return torch.promote_types(dtype, torch.float32)


def _sum_of_squares(norms: Sequence[Tensor]) -> Float[Tensor, ""]:
    return torch.stack(list(norms)).square().sum()
