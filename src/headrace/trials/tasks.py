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
        alone: Study -> why its trials are trained one by one, if packs were asked for.
    """

    facts: WorkloadFacts
    start_metric: float
    smooths_labels: bool
    gpus: int
    refused_policies: dict[str, str] = field(default_factory=dict)
    refused_subsets: dict[str, str] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The memory of one worker process.

    Attributes:
        bytes: The most that was its own so far, without what it shares with others, such as libraries. None
            if the system does not report it.
        device_bytes: The most that its tensors took on a GPU; 0 on the CPU.
        device_total: What the GPU has; 0 on the CPU.
    """

    bytes: int | None
    device_bytes: int = 0
    device_total: int = 0


@dataclass(frozen=True, kw_only=True)
class Gauged:
    """What the parts of a trial of one study take in one process.

    Attributes:
        study: The study.
        begin_seconds: To make the model and what it is fed by.
        step_seconds: A step.
        evaluation_seconds: An evaluation.
        memory: Of the process, the steps included.
        error: What the user's code raised; then the seconds are 0.
    """

    study: StudyKey
    begin_seconds: float
    step_seconds: float
    evaluation_seconds: float
    memory: Memory
    error: str | None = None
