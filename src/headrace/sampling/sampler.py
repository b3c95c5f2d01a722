"""`ExampleSampler`: which examples a training loop is fed, by any policy and on any rank."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import Sampler

from headrace.errors import InputError
from headrace.sampling.batches import Batch
from headrace.sampling.choosing import Choosing
from headrace.sampling.given import per_example, source
from headrace.sampling.pieces import Piece, joined
from headrace.sampling.plan import Chosen, Known, Plan, Planner
from headrace.sampling.planning import Draw, Planning, WeightSource
from headrace.sampling.split import Last, check_dealing, check_split, cut
from headrace.sampling.walks import Batches, Singles

_VERSION = 1


class ExampleSampler(Sampler[Any]):
    """The order of the training, for `torch.utils.data.DataLoader` or a loop of one's own.

    Without `batch_size` it is a `sampler=` and yields indices; with it, a `batch_sampler=` that yields lists
    of indices. All ranks make the same global order from the seed, without communication, and each yields its
    own part: disjoint, covering, nothing padded. `batch_size` is that of all ranks together.

    *When things happen.* At `iter()` the epoch is planned: the policy assesses the history (or the weights
    are read), and order and weights are fixed until the next epoch, whatever is recorded meanwhile and
    however far a loader prefetches. An epoch walked to its end is followed by the next; `set_epoch` says the
    number explicitly. Every `iter()` is a walk of its own.

    Args:
        examples: The number of examples; or weights, to draw in proportion to them.
        policy: From `headrace.policies`; None is every example once in random order. Not with weights.
        history: A `headrace.History`, for policies that need it.
        batch_size: Examples in a global batch that are trained on; a policy that chooses within batches is
            given `candidates` times as many.
        size: Draws per epoch, for policies that draw; None is the number of examples.
        draw: The form of the draws from given weights.
        seed: The root seed.
        rank: This process's number.
        world_size: Number of processes.
        workers: For whole batches that several workers share (virtual ones): how many; None is `world_size`.
        epochs: The length of the training, for policies that change over it.
        last: What becomes of an incomplete last batch: `short`, `drop`, or `even` (see `split.cut`).
        holdout_losses: For rho-loss: each example's loss under a model trained on other data [examples].
        labels: The class of each example [examples], for policies per class.
        label_window: A `headrace.examples.LabelWindow`, for recency bias.

    Raises:
        InputError: What is missing, what has no effect, and what cannot be shared by the ranks.
    """

    def __init__(
        self,
        examples: int | WeightSource,
        *,
        policy: Planner | None = None,
        history: Any = None,
        batch_size: int | None = None,
        size: int | None = None,
        draw: Draw = "independent",
        seed: int = 0,
        rank: int | None = None,
        world_size: int = 1,
        workers: int | None = None,
        epochs: int | None = None,
        last: Last = "short",
        holdout_losses: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        label_window: Any = None,
    ) -> None:
        self.num_examples, self.policy = source(examples, policy, draw)
        known = Known(
            num_examples=self.num_examples,
            history=history,
            label_window=label_window,
            holdout_losses=per_example(holdout_losses, self.num_examples, "holdout_losses", np.float64),
        )
        classes = per_example(labels, self.num_examples, "labels", np.int64)
        self.workers = world_size if workers is None else workers
        self._planning = Planning(
            self.policy,
            known,
            seed=seed,
            epochs=epochs,
            size=size,
            labels=classes,
            workers=self.workers,
        )
        self._choosing = Choosing(self.policy, seed)
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank or 0
        self.world_size = world_size
        self.last: Last = last
        self._number = 0
        self._position = 0
        self._finished = False
        self._walk: Singles | Batches | None = None
        self._weights: dict[torch.device, Tensor | None] = {}
        self._check()
        if rank is None and world_size > 1:
            raise InputError(
                "is missing where there are several ranks", where="rank", fix="Give rank=dist.get_rank()."
            )

    @property
    def epoch(self) -> int:
        """The epoch that the next `iter()` walks."""
        self._settle()
        return self._number + self._finished

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter()` walk this epoch; no effect in the middle of it, so a resumed one goes on.

        Raises:
            InputError: A negative epoch, or no whole number.
        """
        try:
            epoch = operator.index(epoch)
        except TypeError:
            raise InputError("must be a whole number", where="epoch", got=epoch) from None
        if epoch < 0:
            raise InputError("must not be negative", where="epoch", got=epoch)
        if epoch != self.epoch:
            self._go_to(epoch)

    def __iter__(self) -> Iterator[Any]:
        """Plan the epoch, if it is not planned, and walk it; after `load_state_dict`, from where it was."""
        # A loader with workers calls iter() twice before it takes anything.
        untouched = self._walk is None or self._walk.position == self._walk.start
        self._settle()
        if self._finished:
            self._go_to(self._number + 1)
        start = self._position if untouched else 0
        plan = self._planning.plan(self._number)
        if plan.candidates > 1:
            self._check_sees_whole_batches()
        if self.batch_size is None:
            self._walk = Singles(plan.indices, start, self.rank, self.world_size)
        else:
            edges = cut(len(plan.indices), self.batch_size * plan.candidates, self.last, start)
            dealt = plan.dealt and self.world_size > 1
            self._walk = Batches(plan.indices, edges, self.rank, self.world_size, dealt=dealt)
        return iter(self._walk)

    def __len__(self) -> int:
        """Items of a whole epoch on this rank; where epochs vary, at most so many until it is planned."""
        length = self._planning.length(self._number)
        length = self.num_examples if length is None else length
        if self.batch_size is None:
            return len(range(self.rank, length, self.world_size))
        return len(cut(length, self.batch_size * self._candidates(), self.last)) - 1

    def plan(self) -> Plan:
        """The plan of the current epoch, made now if it was not."""
        self._settle()
        return self._planning.plan(self._number)

    def weights_for(self, indices: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """What these examples' losses are multiplied by in this epoch, on the device of `indices`.

        The step's loss is `(sampler.weights_for(index) * losses).mean()` over the global batch. Nothing
        waits for the device but the first call of an epoch, which moves the weights there.
        """
        table = self._weights_on(indices.device)
        if table is None:
            return torch.ones(len(indices), device=indices.device)
        return table[indices]

    def choose(
        self,
        indices: Int64[Tensor, " batch"],
        outputs: Float[Tensor, "batch classes"],
        targets: Tensor,
        losses: Float[Tensor, " batch"],
        *,
        count: int | None = None,
    ) -> Chosen:
        """Which of these candidates are trained on, by a policy that chooses within batches.

        For any other policy, and in epochs in which such a policy is off: all of them.

        Args:
            indices: The candidates, a whole global batch, as the sampler gave it.
            outputs: The model's outputs for them, without gradient.
            targets: Their targets.
            losses: Their losses, without gradient.
            count: How many are trained on (`Batch.train_on`); None is as the current epoch's plan has it.

        Raises:
            InputError: On several ranks, where a rank does not see the whole batch.
        """
        plan = self._planning.plan(self._number)
        if plan.candidates == 1 and count is None:
            everyone = torch.arange(len(indices), device=outputs.device)
            return Chosen(positions=everyone, weights=self.weights_for(indices).to(outputs.device))
        self._check_sees_whole_batches()
        count = -(-len(indices) // plan.candidates) if count is None else count
        return self._choosing(indices, outputs, targets, losses, count=count, values=self._planning.values)

    def narrow(
        self,
        indices: Int64[Tensor, " batch"],
        inputs: Tensor,
        targets: Tensor,
        model: Callable[[Tensor], Tensor],
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a loop of one's own trains on of a loader's batch: with every policy, in one line.

        With a policy that chooses within batches the candidates are forwarded without gradients, by the model
        in the mode in which it is, and the chosen are returned. With any other, or while it is off, all of
        them are, and nothing is forwarded.

        Args:
            indices: The batch's indices, as the loader gave them.
            inputs: Its inputs [batch ...], on the model's device.
            targets: Its targets [batch ...].
            model: Inputs -> outputs.
            loss: (outputs, targets) -> the loss of each example [batch].

        Returns:
            Indices, inputs and targets to train on, and what their losses are multiplied by.

        Raises:
            InputError: On several ranks, where a rank does not see the whole batch.
        """
        indices = indices.to(targets.device, non_blocking=True)
        if self._planning.plan(self._number).candidates == 1:
            return indices, inputs, targets, self.weights_for(indices)
        with torch.no_grad():
            outputs = model(inputs)
            chosen = self.choose(indices, outputs, targets, loss(outputs, targets))
        places = chosen.positions
        return indices[places], inputs[places], targets[places], chosen.weights

    def batches(self, device: torch.device | str = "cpu") -> Iterator[Batch]:
        """Endless batches of exactly `batch_size` (times the candidates), epochs joined end to end.

        For the training loop, where every step shall have the same size. Each epoch is planned when its first
        example is needed. `state_dict` between two batches resumes exactly.

        With several workers a batch says which part of it is whose (`Batch.parts`); with several ranks each
        has its part only.

        Raises:
            InputError: Without a batch size, or where a worker might find no example of its own in a batch.
        """
        if self.batch_size is None:
            raise InputError("is needed to make batches", where="ExampleSampler.batch_size", got=None)
        if self.policy.divides:
            check_dealing(self.num_examples, self.batch_size, self.workers, where=repr(self.policy))
        while True:
            yield self._next_batch(torch.device(device))

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """What `load_state_dict` needs to go on exactly, on any number of ranks: plain data and tensors.

        Args:
            done: How many items of the current walk (batches, or single examples) this rank has trained on.
                None: as many as were handed out, right unless a loader prefetches (`num_workers > 0`).
        """
        self._settle()
        position, finished = self._position, self._finished
        if done is not None and self._walk is not None:
            position = self._walk.reached(done)
            finished = position >= self._walk.end
        return {
            "version": _VERSION,
            **self._identity(),
            "epoch": self._number,
            "position": position,
            "finished": finished,
            **self._planning.state_dict(),
            **self._choosing.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was called: the next `iter()` walks the rest of that epoch.

        Raises:
            InputError: A state of another version, data, policy, seed or size.
        """
        for name, mine in {"version": _VERSION, **self._identity()}.items():
            if state.get(name) != mine:
                raise InputError(
                    f"the saved sampler has another {name} than this one, which has {mine!r}",
                    where="ExampleSampler.load_state_dict",
                    got=state.get(name),
                )
        self._go_to(state["epoch"])
        self._position = state["position"]
        self._finished = state["finished"]
        self._planning.load_state_dict(state)
        self._choosing.load_state_dict(state)

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        return {
            "num_examples": self.num_examples,
            "seed": self.seed,
            "size": self._planning.size,
            "policy": repr(self.policy),
            "workers": self.workers if self.policy.divides else None,
        }

    def _go_to(self, epoch: int) -> None:
        self._number, self._position, self._finished, self._walk = epoch, 0, False, None
        self._weights.clear()

    def _settle(self) -> None:
        """Take over how far the latest walk came."""
        if self._walk is not None:
            self._position = self._walk.position
            self._finished = self._position >= self._walk.end

    def _candidates(self) -> int:
        return self._planning.candidates(self._number)

    def _weights_on(self, device: torch.device) -> Tensor | None:
        """The current epoch's table of weights [examples] on a device, moved there once."""
        if device not in self._weights:
            weights = self._planning.plan(self._number).weights
            table = None if weights is None else torch.from_numpy(weights).to(device, torch.float32)
            self._weights[device] = table
        return self._weights[device]

    def _next_batch(self, device: torch.device) -> Batch:
        self._settle()
        self._walk = None
        plan = self._step_into(self._position)
        epoch, candidates = self._number, plan.candidates
        size = (self.batch_size or 1) * candidates
        pieces: list[Piece] = []
        missing = size
        while missing > 0:
            plan = self._step_into(self._position)
            pieces.append(Piece(plan, self._position, min(self._position + missing, len(plan.indices))))
            self._position = pieces[-1].stop
            missing -= len(pieces[-1])
        indices, weights, sizes = joined(pieces, self.workers)
        batch = Batch(
            indices=torch.from_numpy(indices),
            weights=None if weights is None else torch.from_numpy(weights).float(),
            epoch=epoch,
            train_on=self.batch_size if candidates > 1 else None,
            sizes=sizes,
        )
        if self.world_size > 1:
            batch = batch.only(batch.parts(self.world_size)[self.rank])
        return batch.to(device)

    def _step_into(self, position: int) -> Plan:
        """The current epoch's plan, or the next one's where the current one is used up."""
        plan = self._planning.plan(self._number)
        if position >= len(plan.indices):
            self._go_to(self._number + 1)
            plan = self._planning.plan(self._number)
        return plan

    def _check_sees_whole_batches(self) -> None:
        if self.world_size > 1:
            raise InputError(
                "chooses within global batches, which no single rank sees",
                where=repr(self.policy),
                got=f"world_size={self.world_size}",
                fix="Use one process, or a policy that plans epochs.",
            )

    def _check(self) -> None:
        for name in ("batch_size", "world_size", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError("must be at least 1", where=name, got=value)
        if self.world_size > 1 and self.workers != self.world_size:
            raise InputError(
                f"every rank is one worker, and there are {self.world_size}",
                where="workers",
                got=self.workers,
                fix="Leave it out.",
            )
        if not 0 <= self.rank < self.world_size:
            raise InputError(f"must be from 0 to {self.world_size - 1}", where="rank", got=self.rank)
        if self.last not in ("short", "drop", "even"):
            raise InputError("must be 'short', 'drop' or 'even'", where="last", got=self.last)
        length = self._planning.length(0)
        check_split(length, self.batch_size, self.last, self.world_size)
