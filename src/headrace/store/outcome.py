"""The results of a search: plain records, for the analysis and for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.specs.search import SubsetSearch
from headrace.store.chosen import Chosen
from headrace.store.facts import Change
from headrace.store.search_facts import Facts


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The results of the runs on one subset.

    Attributes:
        seed: Which of the comparison's searches.
        group: The method, or the baseline.
        size: Examples in the subset, duplicates counted.
        runs: The metric of each run at its end, on data that were never seen in training or selection.
    """

    seed: int
    group: str
    size: int
    runs: tuple[float, ...]

    @property
    def metric(self) -> float:
        """The mean over the runs."""
        return sum(self.runs) / len(self.runs)


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """The results of other models on the same subsets.

    Attributes:
        name: What the transfer is called.
        facts: Facts about its workload.
        measured: Its comparison.
    """

    name: str
    facts: Facts
    measured: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A search, finished or waiting for people.

    Attributes:
        directory: Its folder.
        spec: What was asked.
        facts: Facts about the workload.
        plan: The planned cost of every stage.
        spent: What every stage cost; shared work (the random start) counts in each.
        trained: Examples trained by different runs, shared ones once.
        scored: Members x examples scored, shared ones once.
        seconds: Of the different runs and scorings, added up over processes.
        measured: The comparison; empty without one.
        transfers: The same for each `[[transfer]]`.
        subset: The subset file, or None while the search waits.
        waiting: What people are asked, or None.
        chosen: What was chosen, for the report; None while the search waits.
        changes: Of the workloads, since the folder was made.
        earlier: How many of the runs are from before the last change.
    """

    directory: Path
    spec: SubsetSearch
    facts: Facts
    plan: tuple[Cost, ...]
    spent: tuple[Cost, ...]
    trained: int
    scored: int
    seconds: float
    measured: tuple[Measured, ...] = ()
    transfers: tuple[Transferred, ...] = ()
    subset: Path | None = None
    waiting: Waiting | None = None
    chosen: Chosen | None = None
    changes: tuple[Change, ...] = ()
    earlier: int = 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one stage of one search.

    Attributes:
        seed: Which of the comparison's searches.
        group: The method, or the baseline.
        stage: "search", "comparison" or "transfer to NAME".
        size: Examples in the subset that is trained on (duplicates counted).
        examples_trained: By all runs together; work that was there already counts as well.
        examples_scored: Members x examples, of the pool and of what a method looks at besides.
        labels_bought: Hidden labels that were needed for it, and not before.
    """

    seed: int
    group: str
    stage: str
    size: int
    examples_trained: int
    examples_scored: int = 0
    labels_bought: int = 0


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A search that resumes when people have answered.

    Attributes:
        missing: How many labels are missing.
        tasks: The files with the questions: JSON tasks for Label Studio, and the same as CSV.
    """

    missing: int
    tasks: tuple[Path, ...]
