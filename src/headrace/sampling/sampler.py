"""`ExampleSampler`: which examples a training loop is fed, by any policy and on any rank."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import Sampler

from headrace.checks import choice, whole
from headrace.errors import InputError
from headrace.sampling import ranks
from headrace.sampling.batches import Batch
from headrace.sampling.choosing import Choosing
from headrace.sampling.epochs import Epochs
from headrace.sampling.given import (
    check_finite_history,
    check_nothing_dropped,
    listen,
    per_example,
    recorder,
    source,
)
from headrace.sampling.loaders import Caller, caller, check_not_in_worker
from headrace.sampling.narrowing import as_indices, check_candidates, check_finite_losses, device_of, rows
from headrace.sampling.pieces import together
from headrace.sampling.plan import Chosen, Known, Plan, Planner
from headrace.sampling.planning import Draw, Planning, WeightSource
from headrace.sampling.resuming import resumed
from headrace.sampling.split import (
    Last,
    check_dealing,
    check_one_worker_per_rank,
    check_sees_whole_batches,
    check_split,
    cut,
)
from headrace.sampling.sums import checksum
from headrace.sampling.walks import Walk, new_walk

_VERSION = 1


class ExampleSampler(Sampler[Any]):
    """The order of the training, for `torch.utils.data.DataLoader` or a loop of one's own.

    Without `batch_size` it is a `sampler=` and yields indices; with it, a `batch_sampler=` that yields lists
    of indices. All ranks make the same global order from the seed, without communication, and each yields its
    own part: disjoint, covering, nothing padded. `batch_size` is that of all ranks together.

    *When things happen.* At `iter()` the epoch is planned: the policy assesses the history (or the weights
    are read), and order and weights are fixed until the next epoch, regardless of what is recorded meanwhile
    and how far a loader prefetches. An epoch walked to its end is followed by the next; `set_epoch` sets the
    number explicitly. Every `iter()` is an independent walk.

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
        label_window: A `headrace.histories.LabelWindow`, for recency bias.

    Raises:
        InputError: An argument is missing or has no effect, or the ranks cannot share the epoch.
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
        world_size: int | None = None,
        workers: int | None = None,
        epochs: int | None = None,
        last: Last = "short",
        holdout_losses: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        label_window: Any = None,
    ) -> None:
        self.num_examples, self.policy = source(examples, policy, draw)
        self._ranks: ranks.Ranks | None = None
        self._workers = None if workers is None else whole(workers, "workers", least=1)
        self.batch_size = None if batch_size is None else whole(batch_size, "batch_size", least=1)
        self.seed = whole(seed, "seed", least=0, most=None)
        self.last: Last = cast(Last, choice(last, "last", ("short", "drop", "even")))
        self._planning = Planning(
            self.policy,
            Known(
                num_examples=self.num_examples,
                history=recorder(history, "history"),
                label_window=recorder(label_window, "label_window"),
                holdout_losses=per_example(holdout_losses, self.num_examples, "holdout_losses", np.float64),
            ),
            seed=self.seed,
            epochs=None if epochs is None else whole(epochs, "epochs", least=1),
            size=None if size is None else whole(size, "size", least=1),
            labels=per_example(labels, self.num_examples, "labels", np.int64),
            workers=lambda: self.workers,
        )
        self._choosing = Choosing(self.policy, self.seed)
        self._epochs = Epochs(self._planning)
        if world_size is not None:
            self._check_world(whole(world_size, "world_size", least=1))
        self._ranks = ranks.given(rank, world_size)
        listen(history, self._epochs.heard)

    @property
    def rank(self) -> int:
        """This process's number: as given, or as the process group or the environment says."""
        return (self._ranks or ranks.found()).rank

    @property
    def world_size(self) -> int:
        """The number of processes: as given, or as the process group or the environment says."""
        return (self._ranks or ranks.found()).size

    @property
    def workers(self) -> int:
        """How many workers share a whole batch: as given, or the number of processes."""
        return self.world_size if self._workers is None else self._workers

    @property
    def epoch(self) -> int:
        """The epoch that the next `iter()` walks."""
        return self._epochs.next

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter()` walk this epoch; no effect in the middle of it, so a resumed one continues.

        An epoch that was resumed at its end has nothing left: if a loop sets its number once more, the next
        walk is empty, so that a loop which counts from the epoch of its checkpoint trains nothing twice.

        Raises:
                InputError: A negative epoch, or not a whole number.
        """
        self._epochs.set(whole(epoch, "epoch", least=0))

    def __iter__(self) -> Iterator[Any]:
        """Plan the epoch, if it is not planned, and walk it; after `load_state_dict`, from where it was.

        If there is a process group, all ranks begin an epoch together, and each raises if they differ.
        """
        by, mine = caller(), self._ranks or ranks.found()
        walk = (
            self._new_walk(by, mine)
            if self._epochs.course.fresh
            else ranks.alike(lambda: self._new_walk(by, mine), self._facts, mine)
        )
        self._epochs.course.begin(walk, by)
        return iter(walk)

    def __len__(self) -> int:
        """Items of a whole epoch on this rank; if epochs vary, the most until it is planned."""
        length = self._planning.length(self._epochs.number)
        length = self.num_examples if length is None else length
        if self.batch_size is None:
            return len(range(self.rank, length, self.world_size))
        return (
            len(cut(length, self.batch_size * self._planning.candidates(self._epochs.number), self.last)) - 1
        )

    def plan(self) -> Plan:
        """The plan of the current epoch, made now if it was not; its weights are those of all examples."""
        return self._epochs.plan()

    def weights_for(self, indices: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """What these examples' losses are multiplied by in this epoch, on the device of `indices`.

        The step's loss is `(sampler.weights_for(index) * losses).mean()` over the global batch. Only
        the first call of an epoch waits for the device, because it moves the weights there.

        Within an epoch the indices must be the next batch of the walk as the loader gave it, or its
        parts in order: so the sampler knows what was trained on. To look up any weights use
        `plan().weights`.

        Raises:
            InputError: The indices are not the next ones; the message says which layer of the loader changed
                them. On a device that is found at the end of the epoch or in `state_dict`, without waiting.
        """
        check_not_in_worker()
        indices = as_indices(indices, self.num_examples)
        self._epochs.course.see(indices, "shown")
        return self._epochs.weights_of(indices)

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
            InputError: There are several ranks, so no rank sees the whole batch; or losses that are not
                one number per candidate.
        """
        indices = as_indices(indices, self.num_examples)
        check_candidates(indices, outputs, losses)
        self._epochs.course.see(indices, "recorded")
        plan = self._epochs.plan()
        if plan.candidates == 1 and count is None:
            everyone = torch.arange(len(indices), device=outputs.device)
            return Chosen(positions=everyone, weights=self._epochs.weights_of(indices).to(outputs.device))
        if self._epochs.course.walked or self._ranks is not None:
            check_sees_whole_batches(self.policy, self.world_size)
        most = len(indices)
        count = -(-most // plan.candidates) if count is None else whole(count, "count", least=1, most=most)
        return self._choosing(indices, outputs, targets, losses, count=count, values=self._planning.values)

    def narrow(
        self,
        indices: Int64[Tensor, " batch"],
        inputs: Any,
        targets: Any,
        model: Callable[[Any], Tensor],
        loss: Callable[[Tensor, Any], Tensor],
    ) -> tuple[Tensor, Any, Any, Tensor]:
        """What your own loop trains on from a loader's batch: with every policy, in one line.

        With a policy that chooses within batches the candidates are forwarded without gradients, by the model
        in the mode in which it is, and the chosen are returned. With any other, or while it is off, all of
        them are, and nothing is forwarded.

        Args:
            indices: The batch's indices, as the loader gave them: the next ones, see `weights_for`.
            inputs: Its inputs [batch ...] on the model's device: a tensor, or a dict, tuple or list of them.
            targets: Its targets [batch ...], likewise.
            model: Inputs -> outputs.
            loss: (outputs, targets) -> the loss of each example [batch], as `reduction="none"` gives it.

        Returns:
            Indices, inputs and targets to train on, and what their losses are multiplied by.

        Raises:
            InputError: The indices are not the next ones; the losses are not one number per example; inputs
                or targets cannot be indexed; there are several ranks, so no rank sees the whole batch.
        """
        check_not_in_worker()
        indices = as_indices(indices, self.num_examples)
        self._epochs.course.see(indices, "shown")
        indices = indices.to(device_of(targets, indices.device), non_blocking=True)
        if self._epochs.plan().candidates == 1:
            return indices, inputs, targets, self._epochs.weights_of(indices)
        with torch.no_grad():
            outputs = model(inputs)
            losses = loss(outputs, targets)
            check_candidates(indices, outputs, losses)
            check_finite_losses(losses, indices)
            chosen = self.choose(indices, outputs, targets, losses)
        places, batch = chosen.positions, len(indices)
        return (
            indices[places],
            rows(inputs, places, batch, "inputs"),
            rows(targets, places, batch, "targets"),
            chosen.weights,
        )

    def batches(self, device: torch.device | str = "cpu") -> Iterator[Batch]:
        """Endless batches of exactly `batch_size` (times the candidates), epochs joined end to end.

        For the training loop, in which every step must have the same size. Each epoch is planned when its
        first example is needed. `state_dict` between two batches resumes exactly.

        With several workers a batch says which part of it is whose (`Batch.parts`); on ranks that were given
        (`rank=`, `world_size=`) each has its part only.

        Raises:
            InputError: There is no batch size, or a batch might hold no example of some worker.
        """
        if self.batch_size is None:
            raise InputError("is needed to make batches", where="ExampleSampler.batch_size", got=None)
        if self.policy.divides:
            check_dealing(self.num_examples, self.batch_size, self.workers, where=repr(self.policy))
        while True:
            yield self._next_batch(torch.device(device))

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """What `load_state_dict` needs to resume exactly, on any number of ranks: plain data and tensors.

        What was passed to `weights_for` or `narrow`, or recorded in the sampler's history, counts as trained
        on; in a loop that does neither, what was handed out.

        Args:
            done: How many items of the epoch (batches, or single examples) this rank has trained on, counted
                from its beginning, also after a resume. Needed only if a loader fetches ahead
                (`num_workers > 0`) and the loop passes nothing; otherwise it is checked.

        Raises:
            InputError: `done` is out of range or contradicts what was shown; or it is needed.
        """
        place = self._epochs.course.now(done, caller())
        begun = place.position > 0 and not place.finished
        return {
            "version": _VERSION,
            **self._identity(),
            "epoch": self._epochs.number,
            "position": place.position,
            "finished": place.finished,
            "items": place.items,
            "cut": place.cut,
            "batch_size": self.batch_size,
            "plan": self._planning.checksum(self._epochs.number) if begun else None,
            **self._planning.state_dict(),
            **self._choosing.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume where `state_dict` was called: the next `iter()` walks the rest of that epoch.

        At another batch size or world size the rest is the same examples in the same order, cut anew.

        Raises:
            InputError: A state of another version, data, policy, seed or size, or none at all.
        """
        saved = resumed(state, {"version": _VERSION, **self._identity()}, self.batch_size)
        self._planning.load_state_dict(state)
        self._choosing.load_state_dict(state)
        self._epochs.resume(saved, caller())

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        return {
            "num_examples": self.num_examples,
            "seed": self.seed,
            "size": self._planning.size,
            "policy": repr(self.policy),
            "workers": self.workers if self.policy.divides else None,
        }

    def _facts(self, walk: Walk) -> dict[str, int]:
        """What must be the same on all ranks, as numbers."""
        plan = self._epochs.plan()
        return {
            "epoch": self._epochs.number,
            "settings": ranks.number_of((self._identity(), self.batch_size, self.last)),
            "start": walk.start,
            "values": checksum(self._planning.values),
            "order": checksum(plan.indices, plan.weights),
        }

    def _new_walk(self, by: Caller, mine: ranks.Ranks) -> Walk:
        """The walk that begins now."""
        self._check_world(mine.size)
        check_finite_history(self._planning.known.history, self.policy.needs)
        plan, place = self._epochs.begin(), self._epochs.course.start
        if plan.candidates > 1:
            check_sees_whole_batches(self.policy, mine.size)
        walk = new_walk(plan, mine, self.batch_size, self.last, start=place.position, cut_from=place.cut)
        walk.before = place.items
        check_nothing_dropped(by, 0 if self.batch_size else walk.size, mine.size)
        return walk

    def _next_batch(self, device: torch.device) -> Batch:
        pieces, epoch = self._epochs.take(self.batch_size or 1)
        train_on = self.batch_size if pieces[0].plan.candidates > 1 else None
        batch = together(pieces, self.workers, epoch=epoch, train_on=train_on)
        mine = ranks.ALONE if self._ranks is None else self._ranks
        if mine.size > 1:
            batch = batch.only(batch.parts(mine.size)[mine.rank])
        return batch.to(device)

    def _check_world(self, size: int) -> None:
        """`InputError` if that many ranks cannot share the epochs."""
        check_one_worker_per_rank(self._workers, size)
        check_split(self._planning.length(0), self.batch_size, self.last, size)
