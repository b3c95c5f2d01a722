"""What the runner of an experiment and its workers say to each other. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headrace.specs.studies import StudyKey
from headrace.store.facts import WorkloadFacts
from headrace.store.records import TrialRecord

Row = dict[str, Any]
"""One measurement: trial, step, and the metrics."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Train a trial to an evaluated step.

    Attributes:
        study: The study.
        number: The study's place in this run; its bound is the published number there.
        trial: The trial's index.
        until: The evaluated step.
    """

    study: StudyKey
    number: int
    trial: int
    until: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of a task.

    Attributes:
        task: The task.
        record: Facts about the trial.
        start: How many measurements were sent before; where the trial was begun again, 0.
        rows: The measurements since then.
        suspended: Whether the worker keeps the trial, to resume it.
        checkpoints: (step, content of a safetensors file), those taken in this task.
    """

    task: Task
    record: TrialRecord
    start: int
    rows: list[Row] = field(repr=False)
    suspended: bool
    checkpoints: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a worker found out about the workload before anything is trained.

    Attributes:
        facts: What is stored.
        start_metric: The validation metric of an untrained model.
        smooths_labels: Whether the loss takes `label_smoothing`.
        gpus: How many GPUs the workers share; 0 where they train on the CPU.
        refused_policies: Policies of the grid that this workload cannot be fed by -> the reason.
        refused_subsets: Subsets of the grid that this workload does not have -> the reason.
    """

    facts: WorkloadFacts
    start_metric: float
    smooths_labels: bool
    gpus: int
    refused_policies: dict[str, str] = field(default_factory=dict)
    refused_subsets: dict[str, str] = field(default_factory=dict)
