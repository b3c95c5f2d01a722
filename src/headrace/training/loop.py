"""The training loop: a generator that trains a model and stops at each evaluation for its caller.

It does not depend on goals, bounds and stores. The caller reads the measurements and stops iterating when it
has seen enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from headrace.errors import InputError
from headrace.sampling.batches import Batch
from headrace.training.data import ExampleData
from headrace.training.evaluation import Evaluator
from headrace.training.gradients import Choose, Gradients, Record
from headrace.training.losses import Loss, smoothed
from headrace.training.parallel._base import Alone, World
from headrace.training.precision import Precision
from headrace.training.recipe import Recipe
from headrace.training.updating import Updater


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """The measurement after `step` updates.

    Attributes:
        step: Updates made.
        examples_forwarded: Examples that went forward through the model to train or to be chosen from.
        examples_backpropagated: Examples that went backward.
        metrics: `train/loss`, the mean of the steps' training losses since the last evaluation (absent at
            step 0), and what the evaluator measured.
    """

    step: int
    examples_forwarded: int
    examples_backpropagated: int
    metrics: dict[str, float]


def train(
    *,
    model: nn.Module,
    data: ExampleData,
    loss: Loss,
    batches: Iterator[Batch],
    recipe: Recipe,
    budget_steps: int,
    evaluation_steps: Sequence[int],
    evaluate: Evaluator,
    microbatch: int | None = None,
    record: Record | None = None,
    choose: Choose | None = None,
    stream: AbstractContextManager[object] | None = None,
    world: World | None = None,
    precision: Precision = "float32",
    compiled: bool = False,
    ema_decay: float | None = None,
) -> Iterator[Measurement]:
    """Train `model` and yield a measurement at each evaluation step, also before the first update.

    A step's loss is `sum(weight * loss) / examples in the batch`, for any micro-batches and workers.
    Nothing in a step waits for the device. Training may be abandoned after any measurement; the model is then
    as measured.

    Args:
        model: Any module, on the device to train on; set to training mode once, at the start.
        data: The training set, on the same device.
        loss: One loss per example. With label smoothing it is called with `label_smoothing=` as well.
        batches: What each step is fed; as many as there are steps.
        recipe: Optimizer, hyperparameters and schedule.
        budget_steps: Where the schedule ends.
        evaluation_steps: Strictly increasing, from 0; training ends at the last, at most the budget.
        evaluate: Measures the model, see `headrace.training.evaluation.evaluator`.
        microbatch: The most examples that go through the model at once; larger batches accumulate gradients.
        record: Called with the detached training-mode outputs of what is trained on.
        choose: Picks what is trained on among a batch of candidates (one with `train_on`), which are
            forwarded once more for it, without gradients, in training mode.
        stream: Entered while the model trains, left while the caller has control, such as a `TorchStream`.
        world: The workers that share each batch, with random streams of their own; None is one worker. Every
            process trains on its part, and all give the same arguments and get the same measurements.
        precision: In which the model computes while it trains; that of evaluations is the evaluator's.
        compiled: Whether `torch.compile` compiles the model for training; evaluations call it as it is.
        ema_decay: Of an exponential moving average of the weights, which is measured as well: with an
            evaluator's `validation/loss` comes `validation/ema_loss`.

    Raises:
        InputError: The steps are out of order, the warm-up is too long, the batches end too early, the
            model has nothing to train, the loss does not return one number per example or cannot be smoothed.
    """
    _check_steps(evaluation_steps, budget_steps)
    world = Alone() if world is None else world
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    updater = Updater(model, parameters, recipe, budget_steps, ema_decay)
    gradients = Gradients(
        model=model,
        parameters=parameters,
        data=data,
        loss=smoothed(loss, recipe.label_smoothing),
        microbatch=microbatch,
        record=record,
        world=world,
        precision=precision,
        compiled=compiled,
    )
    stream = nullcontext() if stream is None else stream
    forwarded = backpropagated = 0

    def measured() -> dict[str, float]:
        return {**world.measure(evaluate, model), **_of_average(world, evaluate, updater)}

    model.train()
    yield Measurement(step=0, examples_forwarded=0, examples_backpropagated=0, metrics=measured())
    for last, until in pairwise(evaluation_steps):
        with stream:
            for step in range(last, until):
                batch = _next(batches, step)
                if choose is not None and batch.train_on is not None:
                    forwarded += len(batch)
                    batch = gradients.choose(batch, choose)
                gradients.compute(batch)
                forwarded += len(batch)
                backpropagated += len(batch)
                updater.update(step)
        metrics = measured()
        yield Measurement(
            step=until,
            examples_forwarded=forwarded,
            examples_backpropagated=backpropagated,
            metrics={"train/loss": gradients.take_loss() / (until - last), **metrics},
        )


def _of_average(world: World, evaluate: Evaluator, updater: Updater) -> dict[str, float]:
    """What the average of the weights measures, by the same names with `ema_` before the last part."""
    if updater.average is None:
        return {}
    found = world.measure(evaluate, updater.average.module)
    parts = ((name.rpartition("/"), value) for name, value in found.items())
    return {f"{split}{slash}ema_{name}": value for (split, slash, name), value in parts}


def _next(batches: Iterator[Batch], step: int) -> Batch:
    batch = next(batches, None)
    if batch is None:
        raise InputError("ended before the last step", where="batches", got=f"{step} batches")
    return batch


def _check_steps(evaluation_steps: Sequence[int], budget_steps: int) -> None:
    increasing = all(last < until for last, until in pairwise(evaluation_steps))
    if (
        not evaluation_steps
        or evaluation_steps[0] != 0
        or not increasing
        or evaluation_steps[-1] > budget_steps
    ):
        raise InputError(
            f"must increase strictly from 0 to at most the budget of {budget_steps} steps",
            where="evaluation_steps",
            got=list(evaluation_steps[:20]),
        )
