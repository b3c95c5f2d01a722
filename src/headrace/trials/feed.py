"""What a trial is fed: batches by its study's policy, with the history that the policy needs, and no more.

Everything here is made anew for each trial from streams named after it, and lives in the trial's suspended
training; so a trial that is fed by a policy is as much a pure function of (seed, study, trial) as any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headrace import random
from headrace.errors import InputError
from headrace.histories.history import History, LossHistory
from headrace.histories.labels import LabelWindow
from headrace.policies import Epoch, Known, Policy, make_policy
from headrace.policies.wrappers import batch_policy
from headrace.sampling.batches import Batch, shuffled_batches
from headrace.sampling.plan import Need
from headrace.sampling.sampler import ExampleSampler
from headrace.specs.space import split
from headrace.subsets.view import weighted
from headrace.training.gradients import Choose, Chosen, Record
from headrace.trials.fed import Log, LoggedPolicy

if TYPE_CHECKING:
    from headrace.specs.studies import Hyperparameters, StudyKey
    from headrace.trials.setting import Setting

BYTES_PER_EXAMPLE = 128
"""At most what a suspended trial's policy keeps of an example: history, values, order and weights."""

CHUNK = 4096
"""Examples fetched at once to read their targets; memory only."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What the training loop is given.

    Attributes:
        batches: Endless.
        record: The loop's hook into the history, or None where nothing needs it.
        choose: The loop's hook for a policy that chooses within batches, or None.
        forwarded: Examples that went forward to prepare the policy, before the first step.
        backpropagated: Examples that went backward then.
    """

    batches: Iterator[Batch]
    record: Record | None = None
    choose: Choose | None = None
    forwarded: int = 0
    backpropagated: int = 0


def feed(
    setting: Setting,
    study: StudyKey,
    trial: int,
    values: Hyperparameters,
    budget: int,
    *,
    log: Log | None = None,
) -> Feed:
    """The feed of one trial.

    Args:
        setting: What trials of a worker share.
        study: The study.
        trial: The trial's index.
        values: Its hyperparameters, the policy's settings among them.
        budget: Its step budget; policies that change over the training do so over it.
        log: Gets what is planned and chosen, if given.

    Raises:
        InputError: The policy cannot be used with this workload.
    """
    name, size = study.configuration.policy, study.configuration.batch_size
    seed, path = setting.experiment.seed, setting.path(study, trial)
    examples = len(setting.workload.train)
    _, settings = split(values)
    if name == "shuffle" and not settings:
        batches = shuffled_batches(examples, size, seed=seed, path=path, device=setting.device)
        return Feed(batches=weighted(batches, setting.weights))
    policy = make_policy(name, **settings)
    memory = Memory(policy.needs, setting)
    holdout = setting.holdout if "holdout_losses" in policy.needs else None
    sampler = ExampleSampler(
        examples,
        policy=policy if log is None else LoggedPolicy(policy, log.plan),
        batch_size=size,
        workers=study.configuration.workers,
        rank=0,  # the loop shares out whole batches, also under torchrun
        world_size=1,
        seed=random.integer_seed(seed, *path, "policy"),
        epochs=epochs_of(policy, budget=budget, batch_size=size, examples=examples),
        history=memory.history,
        label_window=memory.window,
        holdout_losses=None if holdout is None else holdout.losses,
        labels=targets_of(setting).numpy() if "labels" in policy.needs else None,
    )
    return Feed(
        batches=weighted(sampler.batches(setting.device), setting.weights),
        record=memory.record if policy.needs & {"history", "label_window"} else None,
        choose=_chooser(sampler, setting.weights, log) if batch_policy(policy) else None,
        forwarded=holdout.forwarded if holdout else 0,
        backpropagated=holdout.backpropagated if holdout else 0,
    )


def epochs_of(policy: Policy, *, budget: int, batch_size: int, examples: int) -> int:
    """How many passes over the training set the budget is, candidates included, rounded up.

    A policy that leaves examples out has shorter epochs, and so passes this number before the budget ends.
    """
    chooser = batch_policy(policy)
    return math.ceil(budget * batch_size * (chooser.candidates if chooser else 1) / examples)


class Memory:
    """The history and the window of labels that are needed; None where they are not.

    Of a workload whose targets are not classes only the losses are kept.

    Args:
        needs: Of "history" and "label_window" those that are needed.
        setting: The workload and the device.
    """

    def __init__(self, needs: frozenset[Need], setting: Setting) -> None:
        self._loss = setting.workload.loss
        examples, device = len(setting.workload.train), setting.device
        classes = predicts_classes(setting)
        self.history: History | LossHistory | None = None
        self.window: LabelWindow | None = None
        if "history" in needs:
            self.history = (History if classes else LossHistory)(examples, device=device)
        if "label_window" in needs and classes:
            self.window = LabelWindow(examples, width(setting), device=device)

    def record(self, indices: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Take in what was trained on."""
        if isinstance(self.history, History):
            self.history.record(indices, outputs, targets)
        elif self.history is not None:
            self.history.record(indices, self._loss(outputs, targets))
        if self.window is not None:
            self.window.record(indices, outputs)


def refusal(name: str, setting: Setting) -> str | None:
    """Why the policy cannot be used with this workload, or None where it can.

    Args:
        name: The policy.
        setting: The workload.
    """
    settings = {
        setting_name: _one(entry)
        for setting_name, entry in setting.experiment.search.policy.get(name, {}).items()
    }
    try:
        policy = make_policy(name, **{key: value for key, value in settings.items() if value is not None})
        if not predicts_classes(setting) and policy.needs & {"labels", "label_window"}:
            return f"it needs one class per example, and the targets are {setting.workload.kind}"
        if "history" in policy.needs:
            # Past any burn-in, which assesses nothing.
            known = Known(num_examples=2, history=_observed(setting))
            policy.assess(known, Epoch(number=1 << 40, num_examples=2, epochs=1))
    except InputError as error:
        return error.what
    return None


def _observed(setting: Setting) -> History | LossHistory:
    """A history of two examples, seen as often as any policy could ask for."""
    both = torch.arange(2)
    history: History | LossHistory = (History if predicts_classes(setting) else LossHistory)(2)
    for _ in range(2):
        if isinstance(history, History):
            history.record(both, torch.eye(2), both)
        else:
            history.record(both, torch.ones(2))
    return history


def _one(entry: Any) -> Any:
    """A constant as it is; a tuned setting stays at its default, which is as good for a check."""
    return entry if isinstance(entry, bool | int | float | str) else None


def predicts_classes(setting: Setting) -> bool:
    """Whether the workload's targets are one class for each example."""
    return setting.workload.kind == "classes"


def width(setting: Setting) -> int:
    """The number of classes that the workload's models distinguish; 1 if they give one number."""
    return setting.workload.outputs or 1


def targets_of(setting: Setting) -> Tensor:
    """The class of every training example, on the host."""
    data = setting.workload.train
    return torch.cat([data.fetch(part)[1].cpu() for part in torch.arange(len(data)).split(CHUNK)])


def _chooser(sampler: ExampleSampler, weights: Tensor | None, log: Log | None) -> Choose:
    """Candidates are rated by their own losses; what is chosen has the weight of its subset as well."""

    def choose(outputs: Tensor, targets: Tensor, losses: Tensor, batch: Batch) -> Chosen:
        chosen = sampler.choose(batch.indices, outputs, targets, losses, count=batch.train_on)
        positions = chosen.positions
        if log is not None:
            indices = batch.indices.to(positions.device)[positions]
            log.chosen(indices.cpu().numpy(), chosen.weights.cpu().numpy())
        if weights is None:
            return Chosen(positions=positions, weights=chosen.weights)
        mine = weights[batch.indices.to(weights.device)[positions]]
        return Chosen(positions=positions, weights=mine * chosen.weights)

    return choose
