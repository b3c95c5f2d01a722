"""The training loop of several models at once, of one kind and on the same data.

Each training has its own initialisation, batches, hyperparameters and history. A step of a small model is
mostly calls of torch, and those of all models together are as many as those of one. What is measured is what
`headrace.training.loop` measures, to rounding.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.sampling.batches import Batch
from headrace.training.data import ExampleData, TensorData
from headrace.training.evaluation import Measures, OfMean, means_of
from headrace.training.gradients import Record
from headrace.training.loop import Measurement
from headrace.training.recipe import Recipe
from headrace.training.registry import OPTIMIZERS
from headrace.training.stacked import Rows, Stacked
from headrace.training.stacked_updates import StackedUpdater

PackedEvaluator = Callable[[Stacked, Rows], list[dict[str, float]]]
"""Models and their weights -> the metrics of each."""


@dataclass(kw_only=True)
class Lane:
    """One of the trainings of a pack; between two stretches of it, all that is needed to continue.

    Attributes:
        place: Its row, the same from its start to its end, so that its result is a function of itself, its
            row and the number of rows.
        recipe: Optimizer, hyperparameters and schedule.
        batches: What each step is fed.
        record: Called with `(indices, outputs, targets)` of what is trained on, or None.
        weights: Its row of weights [parameters].
        moments: The optimizer's memory of them [parameters].
        step: The last evaluated step; -1 before the first evaluation.
    """

    place: int
    recipe: Recipe
    batches: Iterator[Batch]
    record: Record | None = None
    weights: Float[Tensor, " parameters"]
    moments: tuple[Float[Tensor, " parameters"], ...] = ()
    step: int = -1


def new_lane(
    stacked: Stacked,
    model: nn.Module,
    *,
    place: int,
    recipe: Recipe,
    batches: Iterator[Batch],
    record: Record | None = None,
) -> Lane:
    """A training before its first step.

    Args:
        stacked: What it is trained with.
        model: Freshly initialised.
        place: Its row.
        recipe: Optimizer, hyperparameters and schedule.
        batches: What each step is fed.
        record: As `Lane.record`.
    """
    row = stacked.row(model)
    moments = tuple(torch.zeros_like(row) for _ in range(OPTIMIZERS[recipe.optimizer].moments or 0))
    return Lane(place=place, recipe=recipe, batches=batches, record=record, weights=row, moments=moments)


def train_packed(
    stacked: Stacked,
    lanes: Sequence[Lane],
    *,
    data: ExampleData,
    tuned: frozenset[str],
    budget_steps: int,
    evaluation_steps: Sequence[int],
    evaluate: PackedEvaluator,
) -> Generator[list[Measurement]]:
    """Train all lanes together and yield their measurements at each evaluation step after that of the lanes.

    New lanes are measured before their first update as well. After each measurement a lane's `weights` are
    as measured. Training may be abandoned after any measurement by closing the iterator, and continued from
    there with any of the lanes.

    Args:
        stacked: The models.
        lanes: At the same step, each in a row of its own.
        data: The training set, on the models' device.
        tuned: The names of the hyperparameters that the recipes give, the same for all.
        budget_steps: Where the schedule ends.
        evaluation_steps: Strictly increasing, from 0; training ends at the last.
        evaluate: Measures the models, see `packed_evaluator`.

    Raises:
        InputError: The batches differ in size or end too early, or a warm-up is too long.
    """
    pack = _Pack(stacked, lanes, data=data, tuned=tuned, budget_steps=budget_steps)
    last = max(lanes[0].step, 0)
    try:
        for until in evaluation_steps[bisect_right(evaluation_steps, lanes[0].step) :]:
            for step in range(last, until):
                pack.step(step)
            yield pack.measured(until, evaluate(stacked, pack.rows), until - last)
            last = until
    finally:
        pack.release()


class _Pack:
    """Lanes whose weights are rows of one tensor, until they are released."""

    def __init__(
        self,
        stacked: Stacked,
        lanes: Sequence[Lane],
        *,
        data: ExampleData,
        tuned: frozenset[str],
        budget_steps: int,
    ) -> None:
        self.lanes, self.rows = lanes, stacked.rows()
        self._stacked, self._data = stacked, data
        # Where an example is what it is in any batch, those of all lanes are fetched as one.
        self._at_once = type(data) is TensorData and getattr(data, "transform", None) is None
        moments = [stacked.rows() for _ in lanes[0].moments]
        recipes = [lanes[0].recipe] * stacked.width
        for lane in lanes:
            recipes[lane.place] = lane.recipe
            lane.weights = _loaded(self.rows, lane.place, lane.weights)
            pairs = zip(moments, lane.moments, strict=True)
            lane.moments = tuple(_loaded(rows, lane.place, own) for rows, own in pairs)
        self._updater = StackedUpdater(
            self.rows,
            moments,
            recipes,
            tuned=tuned,
            matrices=stacked.matrices,
            budget_steps=budget_steps,
        )
        self._loss_sums = self.rows.new_zeros(stacked.width)
        self._even: Float[Tensor, "lanes batch"] | None = None
        self._size = 0

    def step(self, step: int) -> None:
        """One step of every lane."""
        batches = {lane.place: _next(lane.batches, step) for lane in self.lanes}
        first = batches[self.lanes[0].place]
        self._size = len(first)
        if any(len(batch) != len(first) or batch.train_on is not None for batch in batches.values()):
            raise InputError("must have one size, and be trained on whole, in a pack", where="batches")
        inputs, targets = self._fetch([batches.get(row, first).indices for row in range(len(self.rows))])
        shares = self._shares(batches)
        gradients, losses, outputs = self._stacked.gradients(self.rows, inputs, targets, shares)
        self._loss_sums += losses
        for lane in self.lanes:
            if lane.record is not None:
                lane.record(batches[lane.place].indices, outputs[lane.place], targets[lane.place])
        self._updater.update(step, gradients)

    def _fetch(self, indices: Sequence[Int64[Tensor, " batch"]]) -> tuple[Tensor, Tensor]:
        """The inputs and targets of every row [lanes batch ...]."""
        if self._at_once:
            inputs, targets = self._data.fetch(torch.cat(list(indices)))
            shape = len(indices), len(indices[0])
            return inputs.view(*shape, *inputs.shape[1:]), targets.view(*shape, *targets.shape[1:])
        fetched = [self._data.fetch(one) for one in indices]
        inputs, targets = ([rows[part] for rows in fetched] for part in (0, 1))
        return torch.stack(inputs), torch.stack(targets)

    def _shares(self, batches: Mapping[int, Batch]) -> Float[Tensor, "lanes batch"]:
        """What each example's loss is multiplied by: weight over batch size; 0 in rows without a lane."""
        if self._even is None:
            self._even = self.rows.new_zeros(len(self.rows), self._size)
            self._even[[*batches]] = 1 / self._size
        if all(batch.weights is None for batch in batches.values()):
            return self._even
        shares = self._even.clone()
        for row, batch in batches.items():
            if batch.weights is not None:
                shares[row] *= batch.weights.to(shares.device, non_blocking=True)
        return shares

    def measured(self, step: int, metrics: Sequence[dict[str, float]], steps: int) -> list[Measurement]:
        """The lanes' measurements after `step` updates, of which the last `steps` are since the last ones."""
        losses = self._loss_sums.tolist()
        self._loss_sums = torch.zeros_like(self._loss_sums)
        found: list[Measurement] = []
        for lane in self.lanes:
            lane.step = step
            trained = {"train/loss": losses[lane.place] / steps} if steps else {}
            examples = step * self._size
            found.append(
                Measurement(
                    step=step,
                    examples_forwarded=examples,
                    examples_backpropagated=examples,
                    metrics=trained | metrics[lane.place],
                )
            )
        return found

    def release(self) -> None:
        """Give each lane its numbers."""
        for lane in self.lanes:
            lane.weights = lane.weights.clone()
            lane.moments = tuple(rows.clone() for rows in lane.moments)


def packed_evaluator(
    splits: Mapping[str, ExampleData],
    measures: Measures,
    *,
    metric_name: str = "error",
    batch_size: int = 512,
    of_mean: OfMean | None = None,
) -> PackedEvaluator:
    """As `headrace.training.evaluation.evaluator`, for all models of a pack in one pass.

    Args:
        splits: Name -> data on the models' device.
        measures: What is added up; the loss and the metric of an example depend on that example alone.
        metric_name: What to call the metric.
        batch_size: Examples per forward pass; part of what makes a result the same to the bit.
        of_mean: What the metric of a split is, of the mean over its examples.
    """

    def evaluate(stacked: Stacked, rows: Rows) -> list[dict[str, float]]:
        sums = [_sums(stacked, rows, data, measures, batch_size) for data in splits.values()]
        lanes: list[list[list[float]]] = torch.cat(sums, 1).tolist()
        ends = list(accumulate((part.shape[1] for part in sums), initial=0))
        return [
            {
                name: value
                for split, (start, end) in zip(splits, pairwise(ends), strict=True)
                for name, value in means_of(split, lane[start:end], metric_name, of_mean).items()
            }
            for lane in lanes
        ]

    return evaluate


def _sums(
    stacked: Stacked, rows: Rows, data: ExampleData, measures: Measures, batch_size: int
) -> Float[Tensor, "lanes batches sums"]:
    parts: list[Tensor] = []
    for indices in torch.arange(len(data)).split(batch_size):
        inputs, targets = data.fetch(indices)
        parts.append(stacked.measure(measures, rows, inputs, targets))
    return torch.stack(parts, 1)


def _loaded(rows: Rows, place: int, own: Float[Tensor, " parameters"]) -> Float[Tensor, " parameters"]:
    rows[place] = own
    return rows[place]


def _next(batches: Iterator[Batch], step: int) -> Batch:
    batch = next(batches, None)
    if batch is None:
        raise InputError("ended before the last step", where="batches", got=f"{step} batches")
    return batch
