"""The one place that loads a workload: on the worker's device, inspected, and known by its fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from headrace.specs.tables import WorkloadTable
from headrace.store.changes import check_loaded
from headrace.training.data import ExampleData, Steady
from headrace.training.evaluation import evaluator
from headrace.trials.scoring import SCORE_BATCH
from headrace.workloads import Workload
from headrace.workloads.fingerprint import Fingerprint
from headrace.workloads.identity import Identity, identify
from headrace.workloads.inspection import inspected
from headrace.workloads.registry import load_workload
from headrace.workloads.sources import reading


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A workload, and facts about it.

    Attributes:
        workload: Its data on the worker's device.
        identity: Its fingerprint, and whether it draws from global generators.
        name: What it is called in messages.
    """

    workload: Workload
    identity: Identity
    name: str

    @property
    def seen(self) -> ExampleData:
        """The training examples as members score them and choose among them, always the same."""
        data = self.workload.evaluation_data("train")
        return Steady(data) if self.identity.random_items else data

    def measure(self, model: nn.Module) -> dict[str, float]:
        """Loss and metric of a trained model on validation and test."""
        workload = self.workload
        splits = ("validation",) if workload.test is None else ("validation", "test")
        measure = evaluator(
            {name: workload.evaluation_data(name) for name in splits},
            workload.loss,
            workload.metric,
            metric_name=workload.metric_name,
            weigh=workload.weigh,
            of_mean=workload.of_mean,
            batch_size=SCORE_BATCH,
        )
        return measure(model)

    def check(self, expected: Fingerprint | None) -> None:
        """Refuse another workload than the one before, as code edited while it runs gives.

        Raises:
            InputError: It is another one.
        """
        if expected is not None:
            same = expected.model_copy(update={"goal": self.identity.fingerprint.goal})
            check_loaded(same, self.identity.fingerprint, self.name)


def load(
    table: WorkloadTable,
    device: torch.device,
    untrained: Callable[[Workload], nn.Module],
    *,
    goal: float | None = None,
    hidden: bool = False,
    trains: bool = True,
    modules: Sequence[str] = (),
) -> Loaded:
    """Load a workload.

    Args:
        table: Which, and its settings.
        device: Where its models run.
        untrained: Makes an untrained model of it.
        goal: In place of the workload's own.
        hidden: Whether the labels must not be looked at.
        trains: Whether anything is trained on it.
        modules: Modules that results depend on, besides the workload's own.

    Raises:
        InputError: The workload cannot be loaded or used.
    """
    with reading():
        workload = load_workload(table.name, table.settings)
        placed = on_device(workload, device)
        placed = inspected(placed, untrained(placed), hidden=hidden, trains=trains)
        identity = identify(
            workload,
            placed,
            spec=table.name,
            settings=table.settings,
            goal=workload.goal if goal is None else goal,
            device=device,
            targets=not hidden,
            modules=tuple(modules),
            trains=trains,
        )
    return Loaded(workload=placed, identity=identity, name=table.name)


def on_device(workload: Workload, device: torch.device) -> Workload:
    """The workload with its data on a device."""
    splits = {split: getattr(workload, split) for split in ("train", "validation", "test")}
    return replace(workload, **{name: data.to(device) for name, data in splits.items() if data is not None})
