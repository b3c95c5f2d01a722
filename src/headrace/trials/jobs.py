"""What the workers of a search are asked to do. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, Int64

from headrace.random import Name
from headrace.specs.methods import Select
from headrace.store.members import Voters
from headrace.workloads.fingerprint import Fingerprint
from headrace.workloads.kinds import Targets


@dataclass(frozen=True, kw_only=True)
class HangJob:
    """Hang examples for the report: method -> wall -> the examples and the scores for which they hang.

    Attributes:
        classes: The classes' names.
        walls: The examples.
        labels: Example -> its classes, of the examples whose labels may be told.
        predicted: Method -> example -> the class that its last ensemble predicted.
    """

    classes: tuple[str, ...]
    walls: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]
    labels: Mapping[int, tuple[int, ...]]
    predicted: Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, kw_only=True)
class NamesJob:
    """Tell what the training examples are called: their ids, or None where their indices are their names."""


def classes_of(label: np.ndarray, kind: Targets) -> tuple[int, ...]:
    """The classes of one example: its own, or all that are a yes."""
    return tuple(np.flatnonzero(label).tolist()) if kind == "labels" else (int(label),)


@dataclass(frozen=True)
class InspectJob:
    """Look at the workload before anything is done.

    Attributes:
        transfer: Which of the search's other workloads; None for its own.
    """

    transfer: int | None = None


@dataclass(frozen=True, kw_only=True)
class LabelJob:
    """Read the labels of these examples from the data set.

    Attributes:
        indices: The examples.
        right: Whether the right labels are asked for: None comes where they are not known.
    """

    indices: Int64[np.ndarray, " asked"]
    right: bool = False


@dataclass(frozen=True, kw_only=True)
class RunJob:
    """Train a model on some examples, and keep checkpoints of it.

    Attributes:
        folder: Where `run.json` and the checkpoints are left.
        stream: Names the streams of initialisation, order and dropout.
        indices: The examples.
        weights: How often each was chosen.
        labels: Their labels, where the data set's must not be read.
        steps: The budget.
        checkpoints: Steps after which the weights are kept.
        start: Weights to start from, or None for fresh ones.
        start_sha256: Of their file, where it is known.
        transfer: Which of the search's other workloads is trained; None for its own.
    """

    folder: Path
    stream: tuple[Name, ...]
    indices: Int64[np.ndarray, " part"]
    weights: Float[np.ndarray, " part"]
    labels: Int64[np.ndarray, " part"] | None
    steps: int
    checkpoints: tuple[int, ...]
    start: Path | None = None
    start_sha256: str | None = None
    transfer: int | None = None


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where a run keeps its weights after `step` updates."""
    return folder / f"step-{step}.safetensors"


@dataclass(frozen=True, kw_only=True)
class ScoreJob:
    """Score the examples start..stop-1 with every member.

    Attributes:
        path: The Parquet file of the scores.
        members: Name, checkpoint and checksum of each.
        start: The first example.
        stop: The example after the last.
    """

    path: Path
    members: Voters
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class PickJob:
    """Choose the next examples of one search.

    Attributes:
        path: The Parquet file of what is chosen, in that order.
        members: Name, checkpoint and checksum of each; strategies that look at one model take the last.
        select: The strategy.
        count: How many.
        chosen: What was chosen before.
        candidates: What may be chosen.
        scores: Of every example, where the strategy takes them; for `batch_bald` the mutual information.
        stream: Names the stream of what is drawn.
    """

    path: Path
    members: Voters
    select: Select
    count: int
    chosen: Int64[np.ndarray, " chosen"]
    candidates: Int64[np.ndarray, " pool"]
    scores: Float64[np.ndarray, " examples"] | None
    stream: tuple[Name, ...]


Expected = Mapping[int | None, Fingerprint]


SHARD = 8_192
"""Examples in one scoring job, or more, so that there are at most `SHARDS` of them."""


SHARDS = 64


def largest_shard(examples: int) -> int:
    """Examples in a scoring job; the last one may have fewer."""
    return max(SHARD, -(-examples // SHARDS))
