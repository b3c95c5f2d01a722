"""The file of a subset search, as frozen data from one TOML file. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from headrace.errors import InputErrors
from headrace.experiments import toml
from headrace.experiments.checks import input_errors
from headrace.experiments.experiment import Budget, Table, WorkloadTable
from headrace.experiments.subsets.search_checks import cross_checks

Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[tuple[Share, ...], Field(strict=False, min_length=1)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

DEFAULTS: dict[str, dict[str, float | int]] = {
    "top_k": {},
    "power": {"exponent": 1.0},
    "stratified": {"drop_hardest": 0.2, "strata": 50},
    "class_balanced": {},
}
"""Selection strategy -> its settings and their defaults."""


class Select(Table):
    """`search.select`: from scores to examples; the settings are those of `headrace.selection`.

    Attributes:
        name: The strategy.
        exponent: Of `power`.
        drop_hardest: Of `stratified`.
        strata: Of `stratified`.
    """

    name: Literal["top_k", "power", "stratified", "class_balanced"] = "top_k"
    exponent: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    drop_hardest: float | None = Field(default=None, ge=0, lt=1)
    strata: int | None = Field(default=None, ge=1)

    @property
    def settings(self) -> dict[str, float | int]:
        """The settings that have an effect with this strategy."""
        given = self.model_dump(exclude_none=True)
        return {key: given.get(key, value) for key, value in DEFAULTS[self.name].items()}


class SearchTable(Table):
    """`[search]`: how the subset grows.

    Attributes:
        sizes: Shares of the training set, rising. The first is drawn at random, the others are acquired.
        acquisition: The acquisition functions; each has a search of its own, from the same start.
        select: From scores to examples.
        choose_from: "remainder": examples that are not in the subset yet; "pool": all, and an example that is
            chosen again gains weight.
        start: A round's runs start from "scratch", or "warm" from the last checkpoints of the round before.
        labels: "known", or "hidden": a label is read only once its example was chosen.
        oracle: Who gives hidden labels: the "dataset" (a simulation) or "people".
        show: For people: `module:function` that is given an index and returns what the annotator sees.
    """

    sizes: Shares
    acquisition: Names = ("mutual_information",)
    select: Select = Select()
    choose_from: Literal["remainder", "pool"] = "remainder"
    start: Literal["scratch", "warm"] = "scratch"
    labels: Literal["known", "hidden"] = "known"
    oracle: Literal["dataset", "people"] | None = None
    show: str | None = None


class TrainingTable(Table):
    """`[training]`: how each run is trained, in the search and in the comparison.

    Attributes:
        runs: Runs in each round.
        checkpoints: Members from each run: so many, spread over the second half of the run, or the shares of
            the run after which they are taken.
        batch_size: Examples per step.
        optimizer: As in experiments.
        hyperparameters: Name -> value.
        schedule: As in experiments.
        budget: Steps, or epochs of the subset.
        microbatch: The most examples in one forward pass.
        device: "auto", "cpu", "cuda" or "mps".
    """

    runs: int = Field(default=2, ge=1)
    checkpoints: Annotated[int, Field(ge=1)] | Shares = 5
    batch_size: int = Field(ge=1)
    optimizer: str = "momentum"
    hyperparameters: dict[str, float | int]
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    budget: Budget
    microbatch: int | None = Field(default=None, ge=1)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    @property
    def checkpoint_shares(self) -> tuple[float, ...]:
        """The shares of a run after which a member is taken; the last is always the end."""
        if isinstance(self.checkpoints, int):
            return tuple(0.5 + 0.5 * (i + 1) / self.checkpoints for i in range(self.checkpoints))
        return self.checkpoints


class MembersTable(Table):
    """`[members]`: an ensemble of the user's own, instead of runs of the search.

    Attributes:
        checkpoints: Safetensors files, or patterns such as "models/*.safetensors".
        build: `module:function` that builds the model they belong to; None for the workload's model.
    """

    checkpoints: Names
    build: str | None = None


class ComparisonTable(Table):
    """`[comparison]`: whether the search pays.

    Attributes:
        seeds: How often everything is done, each time from another start.
        baselines: "random" (of the same size), "full" (everything), "rs2" (a fresh random subset each epoch).
    """

    seeds: int = Field(default=5, ge=1)
    baselines: Names = ("random", "full")


class SubsetSearch(Table):
    """One subset search.

    Raises:
        InputErrors: The tables do not go together (from any constructor).
    """

    seed: int = Field(default=0, ge=0)
    workload: WorkloadTable
    search: SearchTable
    training: TrainingTable | None = None
    members: MembersTable | None = None
    comparison: ComparisonTable | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        errors = cross_checks(self)
        if errors:
            raise InputErrors(errors, where="search")
        return self

    @classmethod
    def from_toml(cls, path: str | Path) -> SubsetSearch:
        """Read and check the file of a search.

        Raises:
            InputError: The file cannot be read, or is not TOML.
            InputErrors: Every error of its content at once.
        """
        return cls.from_dict(toml.read(path), where=str(path))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, where: str = "search") -> SubsetSearch:
        """Check a search given as nested dictionaries, as they stand in the file.

        Raises:
            InputErrors: Every error at once.
        """
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            raise InputErrors(input_errors(error, cls), where=where) from None
        except InputErrors as error:
            raise InputErrors(error.errors, where=where) from None

    def to_toml(self) -> str:
        """The canonical text: every key with its value, defaults included, in a fixed order."""
        return toml.dumps(self.model_dump(exclude_none=True))

    @property
    def repeats(self) -> range:
        """The searches that are made, one a seed of the comparison."""
        return range(self.comparison.seeds if self.comparison else 1)

    @property
    def baselines(self) -> tuple[str, ...]:
        """The baselines of the comparison."""
        return self.comparison.baselines if self.comparison else ()

    @property
    def first_acquired(self) -> int:
        """The place in `sizes` of the first subset that is not drawn at random."""
        return 0 if self.members else 1
