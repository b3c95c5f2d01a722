"""The tables of a search file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from headrace.specs.checkpoints import Schedule, Shares, shares
from headrace.specs.document import Document, Table
from headrace.specs.grid import Names
from headrace.specs.limits import FEW, Attempts, Count, Name, Repeats, Runs, Seed
from headrace.specs.methods import Label, Method, Select
from headrace.specs.tables import Budget, WorkloadTable


class SearchTable(Table):
    """`[search]`: how the subset grows.

    Attributes:
        sizes: Shares of the training set, rising. The first is drawn at random, the others are acquired.
        acquisition: The acquisition functions; each has a search of its own, from the same start. None for
            margin, if the strategy takes one.
        select: From scores to examples, the same for all of them; None for the highest scores.
        methods: Instead of both: pairs of an acquisition function and a strategy, one search each.
        choose_from: "remainder": examples that are not in the subset yet; "pool": all, and an example that is
            chosen again gains weight.
        start: A round's runs start from "scratch", or "warm" from the last checkpoints of the round before.
        labels: "known", or "hidden": a label is read only once its example was chosen.
        oracle: Who gives hidden labels: the "dataset" (a simulation) or "people".
        show: For people: `module:function` that is given an index and returns what the annotator sees.
    """

    sizes: Shares
    acquisition: Names | None = None
    select: Select | None = None
    methods: Annotated[tuple[Method, ...], Field(strict=False, min_length=1), FEW] | None = None
    choose_from: Literal["remainder", "pool"] = "remainder"
    start: Literal["scratch", "warm"] = "scratch"
    labels: Literal["known", "hidden"] = "known"
    oracle: Literal["dataset", "people"] | None = None
    show: str | None = None

    @property
    def ways(self) -> tuple[Method, ...]:
        """The methods, however they were given."""
        if self.methods is not None:
            return self.methods
        select = self.select or Select()
        if not select.takes_scores:
            return (Method(select=select),)
        names = self.acquisition or ("margin",)
        return tuple(Method(name=name, acquisition=name, select=select) for name in names)


class TrainingTable(Table):
    """`[training]`: how each run is trained, in the search and in the comparison.

    Attributes:
        runs: Runs in each round.
        checkpoints: Members from each run: a number, spread over the second half of the run, or the shares of
            the run after which they are taken.
        batch_size: Examples per step.
        optimizer: As in experiments.
        hyperparameters: Name -> value.
        schedule: As in experiments.
        budget: Steps, or epochs of the subset.
        microbatch: The most examples in one forward pass.
        device: "auto", "cpu", "cuda" or "mps".
    """

    runs: Runs = 2
    checkpoints: Schedule = 5
    batch_size: Count
    optimizer: Name = "momentum"
    hyperparameters: Annotated[dict[str, float | int], FEW]
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "constant"
    budget: Budget
    microbatch: Count | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    @property
    def checkpoint_shares(self) -> tuple[float, ...]:
        """The shares of a run after which a member is taken; the last is always the end."""
        return shares(self.checkpoints)


class MembersTable(Table):
    """`[members]`: an ensemble that exists already, instead of runs of the search.

    Attributes:
        checkpoints: Safetensors files, or patterns such as "models/*.safetensors".
        experiment: The folder of an experiment on the same workload that kept checkpoints, instead.
        best: At most this many trials of each of the experiment's studies, those that reached the goal first.
        build: `module:function` that builds the model they belong to; None for the workload's model.
    """

    checkpoints: Names | None = None
    experiment: str | None = None
    best: Attempts | None = None
    build: str | None = None


class ComparisonTable(Table):
    """`[comparison]`: whether the search pays.

    Attributes:
        seeds: How often everything is done, each time from another start.
        baselines: "random" (of the same size), "full" (everything), "rs2" (a fresh random subset each epoch).
    """

    seeds: Repeats = 5
    baselines: Names = ("random", "full")


class TransferTable(Table):
    """One `[[transfer]]`: the subsets of the comparison train another model on the same data.

    Attributes:
        name: What it is called in results; the workload's name by default.
        workload: Its training set must be the one that is searched.
        batch_size: As in `[training]`, like the others; None for the value there.
        optimizer: The optimizer.
        hyperparameters: Name -> value.
        schedule: The learning-rate schedule.
        budget: Steps, or epochs of the subset.
        microbatch: The most examples in one forward pass.
    """

    name: Label | None = None
    workload: WorkloadTable
    batch_size: Count | None = None
    optimizer: Name | None = None
    hyperparameters: Annotated[dict[str, float | int], FEW] | None = None
    schedule: Literal["constant", "linear", "cosine", "wsd"] | None = None
    budget: Budget | None = None
    microbatch: Count | None = None

    @property
    def label(self) -> str:
        """Its name; of a user's own workload the function's."""
        return self.name or self.workload.name.rpartition(":")[2]

    def training(self, plain: TrainingTable) -> TrainingTable:
        """How it is trained."""
        given = {
            key: getattr(self, key) for key in type(self).model_fields if key in type(plain).model_fields
        }
        return plain.model_copy(update={key: value for key, value in given.items() if value is not None})


class SearchTables(Document):
    """All tables of a search file."""

    kind: ClassVar[str] = "search"
    seed: Seed = 0
    workload: WorkloadTable
    search: SearchTable
    training: TrainingTable | None = None
    members: MembersTable | None = None
    comparison: ComparisonTable | None = None
    transfer: Annotated[tuple[TransferTable, ...], Field(strict=False), FEW] = ()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods; each has a search of its own, from the same start."""
        return self.search.ways

    @property
    def groups(self) -> tuple[str, ...]:
        """What the methods are called."""
        return tuple(method.label for method in self.methods)

    @property
    def baselines(self) -> tuple[str, ...]:
        """The baselines of the comparison."""
        return self.comparison.baselines if self.comparison else ()

    @property
    def first_acquired(self) -> int:
        """The place in `sizes` of the first subset that is not drawn at random."""
        return 0 if self.members else 1
