"""What the workers of a search are asked to do, and what comes of it: frozen records. Imports no torch.

A job is a pure function of itself and of the bench. It writes nothing: what it comes to is handed back, and
the searching process keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from jaxtyping import Float, Float64, Int64

from headrace.engines._base import Handle
from headrace.ids import Ids
from headrace.random import Name
from headrace.specs.methods import Select
from headrace.store.members import Voters
from headrace.store.portrait_records import ExamplesShown
from headrace.store.search_facts import Facts
from headrace.workloads.fingerprint import Fingerprint
from headrace.workloads.kinds import Targets

Expected = Mapping[int | None, Fingerprint]
"""The fingerprint of the search's workload, and of its transfers by their numbers."""

SHARD = 8_192
"""Examples in one scoring, or more, so that there are at most `SHARDS` of them."""

SHARDS = 64

MEMBERS_AT_ONCE = 16
"""Members in one scoring of a shard; part of what makes a resumed sum the same to the bit."""


def largest_shard(examples: int) -> int:
    """Examples in a scoring; the last one may have fewer."""
    return max(SHARD, -(-examples // SHARDS))


class Bench(Protocol):
    """What a worker keeps between jobs: a workload on its device, and those that the search transfers to."""

    def working(self, doing: str) -> AbstractContextManager[None]:
        """The circumstances of a job: errors of the user's code are reported with what was being done."""
        ...

    def of(self, transfer: int | None) -> Self:
        """The bench of one of the search's workloads; None for its own."""
        ...

    def check(self, expected: Fingerprint | None) -> None:
        """Refuse another workload than this one."""
        ...

    def inspect(self) -> Facts:
        """Facts about the workload."""
        ...

    def names(self) -> Ids | None:
        """The ids of the training examples, if they have some."""
        ...

    def labels(self, indices: Int64[np.ndarray, " asked"], *, right: bool) -> np.ndarray | None:
        """The labels of training examples, as given or right."""
        ...

    def run(self, job: Run) -> Trained:
        """Train a model."""
        ...

    def score(self, job: Score) -> Sums | Scores:
        """Score a shard."""
        ...

    def pick(self, job: Pick) -> Choice:
        """Choose by models."""
        ...

    def show_examples(self, job: ShowExamples) -> dict[str, ExamplesShown]:
        """Show examples."""
        ...


@dataclass(frozen=True, kw_only=True)
class SearchJob:
    """What a worker is asked to do.

    Attributes:
        doing: What it does, in words.
        transfer: Which of the search's other workloads it is about; None for its own.
        expected: What the workloads are, once that is known: a worker that has loaded another does nothing.
    """

    doing: ClassVar[str]
    transfer: int | None = None
    expected: Expected = field(default_factory=dict[int | None, Fingerprint], repr=False)

    def do(self, bench: Bench) -> Any:
        """Do it; what it returns can be pickled.

        Raises:
            HeadraceError: What went wrong; any error of the user's model, loss, metric or data is an
                `InputError` with its place.
        """
        own = bench.of(self.transfer)
        with own.working(self.doing):
            own.check(self.expected.get(self.transfer))
            return self.on(own)

    def on(self, bench: Bench) -> Any:
        """Do it on the bench of the workload that it is about."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Inspect(SearchJob):
    """Look at the workload before anything is done."""

    doing: ClassVar[str] = "making an untrained model and calling it"

    def on(self, bench: Bench) -> Facts:
        """Facts about it."""
        return bench.inspect()


@dataclass(frozen=True, kw_only=True)
class Names(SearchJob):
    """Return what the training examples are called: their ids, or None if their indices are their names."""

    doing: ClassVar[str] = "reading ids"

    def on(self, bench: Bench) -> Ids | None:
        """The ids."""
        return bench.names()


@dataclass(frozen=True, kw_only=True)
class Label(SearchJob):
    """Read the labels of these examples from the data set.

    Attributes:
        indices: The examples.
        right: Whether the right labels are asked for: None comes where they are not known.
    """

    doing: ClassVar[str] = "reading labels"
    indices: Int64[np.ndarray, " asked"]
    right: bool = False

    def on(self, bench: Bench) -> np.ndarray | None:
        """The labels [asked]."""
        return bench.labels(self.indices, right=self.right)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run came to.

    Attributes:
        examples_trained: With repetition.
        metrics: At its end.
        seconds: How long it took.
        weights: Step -> the content of a checkpoint's file.
    """

    examples_trained: int
    metrics: dict[str, float]
    seconds: float
    weights: dict[int, bytes] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Run(SearchJob):
    """Train a model on some examples, and keep checkpoints of it.

    Attributes:
        stream: Names the streams of initialisation, order and dropout.
        indices: The examples.
        weights: How often each was chosen.
        labels: Their labels, where the data set's must not be read.
        steps: The budget.
        checkpoints: Steps after which the weights are kept.
        start: Weights to start from, or None for fresh ones.
        start_sha256: Of their file, where it is known.
    """

    doing: ClassVar[str] = "a training run"
    stream: tuple[Name, ...]
    indices: Int64[np.ndarray, " part"]
    weights: Float[np.ndarray, " part"]
    labels: Int64[np.ndarray, " part"] | None
    steps: int
    checkpoints: tuple[int, ...]
    start: Handle | None = None
    start_sha256: str | None = None

    def on(self, bench: Bench) -> Trained:
        """Train it from its start to its end."""
        return bench.run(self)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """A scoring that members are missing of: the sums so far, as the content of a file."""

    content: bytes = field(repr=False)
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A scoring of a shard by all members: a column for each function, and `predicted`."""

    columns: dict[str, np.ndarray] = field(repr=False)
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Score(SearchJob):
    """Score the examples start..stop-1 with the next `MEMBERS_AT_ONCE` members.

    Attributes:
        members: All of them.
        start: The first example.
        stop: The example after the last.
        before: The sums of the members before; None: there are none.
    """

    doing: ClassVar[str] = "scoring"
    members: Voters
    start: int
    stop: int
    before: Handle | None = None

    def on(self, bench: Bench) -> Sums | Scores:
        """The scores, or the sums where members are still missing."""
        return bench.score(self)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, in that order, and how many examples went forward through how many members for it."""

    indices: Int64[np.ndarray, " count"]
    scored: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pick(SearchJob):
    """Choose the next examples of one search by its models.

    Attributes:
        members: Strategies that look at one model take the last.
        select: The strategy.
        count: How many.
        chosen: What was chosen before.
        candidates: What may be chosen.
        scores: Of every example, where the strategy takes them; for `batch_bald` the mutual information.
        stream: Names the stream of what is drawn.
    """

    doing: ClassVar[str] = "choosing"
    members: Voters
    select: Select
    count: int
    chosen: Int64[np.ndarray, " chosen"]
    candidates: Int64[np.ndarray, " pool"]
    scores: Float64[np.ndarray, " examples"] | None
    stream: tuple[Name, ...]

    def on(self, bench: Bench) -> Choice:
        """What is chosen."""
        return bench.pick(self)


@dataclass(frozen=True, kw_only=True)
class ShowExamples(SearchJob):
    """Show examples in the report: method -> group -> the examples and the scores by which they were chosen.

    Attributes:
        classes: The classes' names.
        groups: The examples.
        labels: Example -> its classes, of the examples whose labels may be shown.
        predicted: Method -> example -> the class that its last ensemble predicted.
    """

    doing: ClassVar[str] = "showing examples"
    classes: tuple[str, ...]
    groups: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]
    labels: Mapping[int, tuple[int, ...]]
    predicted: Mapping[str, Mapping[int, int]]

    def on(self, bench: Bench) -> dict[str, ExamplesShown]:
        """The examples of each method."""
        return bench.show_examples(self)


def classes_of(label: np.ndarray, kind: Targets) -> tuple[int, ...]:
    """The classes of one example: its own, or all that are a yes."""
    return tuple(np.flatnonzero(label).tolist()) if kind == "labels" else (int(label),)
