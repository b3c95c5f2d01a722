"""The tables of an experiment file."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from headrace.policies import ACTIVE_BIAS
from headrace.specs.checkpoints import Schedule
from headrace.specs.document import Document, Table
from headrace.specs.grid import Grid
from headrace.specs.limits import FEW, Attempts, Count, Epochs, Fresh, Name, Pack, Seed, Steps, Tokens, Trials
from headrace.specs.space import Entry, Setting
from headrace.specs.studies import StudyKey
from headrace.specs.subset_names import is_search
from headrace.training import budget, recipe


class WorkloadTable(Table):
    """`[workload]`: what is trained.

    Attributes:
        name: A built-in workload, or `module:function` of the user's own.
        settings: Passed to the function that makes the workload.
        goal: The validation metric to get strictly below; None for the workload's own.
    """

    name: Name = Field(min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict)
    goal: float | None = Field(default=None, allow_inf_nan=False)

    @property
    def described(self) -> str:
        """Its name, with its settings if it has any, for messages."""
        return f"{self.name} {self.settings}" if self.settings else self.name

    def same_data(self, other: WorkloadTable) -> bool:
        """Whether it is the same workload, regardless of the goal."""
        return (self.name, self.settings) == (other.name, other.settings)


class Before(Table):
    """An entry of `search.before`: a space from before it was widened, whose trials are kept.

    Attributes:
        trials: How many trials could be drawn from it: the upper limit of that time.
        space: As `[search.space]` was.
    """

    trials: Attempts
    space: Annotated[dict[str, Entry], Field(min_length=1), FEW]


class Search(Table):
    """`[search]`: how many trials a study has, and where they are drawn from.

    Attributes:
        trials: The number of trials that must count, N.
        max_trials: The upper limit, those that do not count included; None for four times `trials`.
        space: Hyperparameter -> range, choices, or a constant.
        policy: Policy of the grid -> its settings, each a range, choices, or a constant.
        before: Earlier spaces, the narrowest first, see `specs.widening`; written by `headrace run --extend`.
    """

    later: ClassVar[frozenset[str]] = frozenset({"before"})
    trials: Trials = 16
    max_trials: Attempts | None = None
    space: Annotated[dict[str, Entry], Field(min_length=1), FEW]
    policy: Annotated[dict[str, Annotated[dict[str, Setting], FEW]], FEW] = Field(default_factory=dict)
    before: Annotated[tuple[Before, ...], Field(strict=False), FEW] = ()

    @field_validator("policy")
    @classmethod
    def _by_our_names(cls, tables: dict[str, dict[str, Setting]]) -> dict[str, dict[str, Setting]]:
        named = {ACTIVE_BIAS.get(name, name): settings for name, settings in tables.items()}
        if len(named) < len(tables):
            raise ValueError("the same policy is given twice, by two names")
        return named

    @property
    def limit(self) -> int:
        """The upper limit of trials in one study."""
        return self.max_trials or 4 * self.trials


class Budget(Table):
    """How long a trial is trained at most: in steps, epochs (B * step <= epochs * examples) or tokens."""

    later: ClassVar[frozenset[str]] = frozenset({"tokens"})
    steps: Steps | None = None
    epochs: Epochs | None = None
    tokens: Tokens | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.steps, self.epochs, self.tokens)) != 1:
            raise ValueError("give either steps, epochs or tokens")
        return self


class Evaluation(Table):
    """When a trial is evaluated: each step `ratio` times the last one, or a fixed number of steps apart."""

    ratio: float | None = Field(default=None, gt=1, allow_inf_nan=False)
    every: Steps | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.ratio is None) == (self.every is None):
            raise ValueError("give either ratio or every")
        return self


class Training(Table):
    """`[training]`: how every trial is trained.

    Attributes:
        schedule: The learning-rate schedule.
        budget: How long a trial is trained at most.
        evaluation: When it is evaluated.
        microbatch: The most examples in one forward pass; larger batches are accumulated. None: no limit.
        stop: "bound" stops a trial that can no longer change the result, "budget" trains on.
        device: "auto", "cpu", "cuda" or "mps".
        weight_decay_on: "all" parameters, or "matrices" alone: neither biases nor the scales of norms.
        precision: "bfloat16" computes in half precision where torch's autocast does, evaluations too.
        compile: Whether models are compiled by `torch.compile` for training.
        ema_decay: Of an average of the weights, measured as well as they are; None: there is none.
        checkpoints: When a trial's weights are kept: this many times, spread over the second half of the
            budget, or after these shares of it; and where it ends at the goal. None: never.
        pack: How many trials of a study are trained as one; "auto" chooses by a measured table. Results are
            those of the number, which an experiment's folder keeps.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {"weight_decay_on", "precision", "compile", "ema_decay", "pack"}
    )
    schedule: Literal["constant", "linear", "cosine", "wsd"] = "constant"
    weight_decay_on: recipe.DecayOn = "all"
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    budget: Budget
    evaluation: Evaluation = Evaluation(ratio=1.05)
    microbatch: Count | None = None
    stop: Literal["bound", "budget"] = "bound"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    checkpoints: Schedule | None = None
    pack: Pack = 1


class ReportTable(Table):
    """`[report]`: what is made for the report when the studies are decided; changes no result.

    Attributes:
        portrait_epochs: The least number of passes over the training set for which the best trial of each
            policy is trained again, so that every example's history is known; the budget allowing. 0: not.
        rules: Rules across batch sizes that are compared with tuning, see `headrace.specs.rules`.
        rules_from: The batch size whose best setting they carry; None for the smallest that reached the goal.
    """

    later: ClassVar[frozenset[str]] = frozenset({"rules", "rules_from"})
    rules: Annotated[tuple[str, ...], Field(strict=False), FEW] = ()
    rules_from: Count | None = None
    portrait_epochs: float = Field(default=5.0, ge=0, le=10**9, allow_inf_nan=False)


class Replicates(Table):
    """`[replicates]`: the best setting of each study, trained again from fresh seeds.

    It changes no other result, and may be added to a folder that was run without it.

    Attributes:
        seeds: How many. More may be asked for later: only the new ones are then trained.
        of: Which setting: "best", the one that the search chose (`headrace.analysis.choice`).
        until: "budget" trains each run to its budget, so that its test error is known; "goal" ends it at the
            goal, which costs less and leaves only the steps.
    """

    seeds: Fresh
    of: Literal["best"] = "best"
    until: Literal["budget", "goal"] = "budget"


def _path_of(value: object) -> object:
    if not isinstance(value, dict):
        return value
    table = cast("dict[object, object]", value)
    path = table.get("search")
    return path if set(table) == {"search"} and isinstance(path, str) and is_search(path) else value


class Tables(Document):
    """All tables of an experiment file."""

    kind: ClassVar[str] = "experiment"
    seed: Seed = 0
    workload: WorkloadTable
    grid: Grid
    search: Search
    training: Training
    subsets: Annotated[dict[Name, str], FEW] = Field(default_factory=dict)
    report: ReportTable = ReportTable()
    replicates: Replicates | None = None

    @field_validator("subsets", mode="before")
    @classmethod
    def _searched(cls, subsets: object) -> object:
        """`{ search = "half.toml" }` is the path of the search: what it finds is a file of its own."""
        if not isinstance(subsets, dict):
            return subsets
        named = cast("dict[object, object]", subsets)
        return {name: _path_of(value) for name, value in named.items()}

    def studies(self) -> list[StudyKey]:
        """Every study of the grid: optimizers outermost, batch sizes innermost and ascending."""
        return self.grid.studies()

    def evaluation_steps(self, budget_steps: int) -> list[int]:
        """The steps at which a trial is evaluated, from 0 to its budget."""
        asked = self.training.evaluation
        if asked.every is not None:
            return budget.evaluation_steps(budget_steps, every=asked.every)
        assert asked.ratio is not None
        return budget.evaluation_steps(budget_steps, ratio=asked.ratio)
