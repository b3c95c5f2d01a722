"""How the next examples are chosen: by an acquisition function, a strategy, or both. Imports no torch."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from headrace.specs.document import Table
from headrace.specs.limits import Configurations, Strata

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""A name that can be part of a file's."""

DEFAULTS: dict[str, dict[str, float | int]] = {
    "top_k": {},
    "power": {"exponent": 1.0},
    "stratified": {"drop_hardest": 0.2, "strata": 50},
    "class_balanced": {},
    "k_center": {},
    "score_times_distance": {},
    "badge": {},
    "batch_bald": {"shortlist": 4.0, "configurations": 256},
}
"""Selection strategy -> its settings and their defaults."""

WITHOUT_SCORES = frozenset({"k_center", "badge", "batch_bald"})
"""Strategies that take no acquisition function."""
BY_FEATURES = frozenset({"k_center", "score_times_distance", "badge"})
"""Strategies that look at the input of the last member's last linear layer."""
APART = frozenset({"k_center", "score_times_distance"})
"""Strategies that keep away from what was chosen before, and so choose nothing twice."""


class Select(Table):
    """From scores to examples; the settings are those of `headrace.selection`.

    Attributes:
        name: The strategy.
        exponent: Of `power`.
        drop_hardest: Of `stratified`.
        strata: Of `stratified`.
        shortlist: Of `batch_bald`: it chooses among so many times the examples wanted, those with the
            highest mutual information.
        configurations: Of `batch_bald`.
    """

    name: Literal[
        "top_k",
        "power",
        "stratified",
        "class_balanced",
        "k_center",
        "score_times_distance",
        "badge",
        "batch_bald",
    ] = "top_k"
    exponent: float | None = Field(default=None, ge=0, le=1_000)
    drop_hardest: float | None = Field(default=None, ge=0, lt=1)
    strata: Strata | None = None
    shortlist: float | None = Field(default=None, ge=1, le=1e6)
    configurations: Configurations | None = None

    @property
    def settings(self) -> dict[str, float | int]:
        """The settings that have an effect with this strategy."""
        given = self.model_dump(exclude_none=True)
        return {key: given.get(key, value) for key, value in DEFAULTS[self.name].items()}

    @property
    def takes_scores(self) -> bool:
        """Whether it chooses by an acquisition function."""
        return self.name not in WITHOUT_SCORES

    @property
    def takes_features(self) -> bool:
        """Whether it chooses by features."""
        return self.name in BY_FEATURES

    @property
    def in_worker(self) -> bool:
        """Whether it looks at models, and so is done where they are."""
        return self.takes_features or self.name == "batch_bald"


class Method(Table):
    """One way to search; each has a search of its own from the same start.

    Attributes:
        name: What it is called in results; by default what it does.
        acquisition: The acquisition function, where the strategy takes one.
        select: The strategy.
    """

    name: Label | None = None
    acquisition: str | None = None
    select: Select = Select()

    @property
    def label(self) -> str:
        """Its name, or for example "entropy", "entropy+power", "k_center"."""
        if self.name is not None:
            return self.name
        if self.acquisition is None:
            return self.select.name
        return self.acquisition if self.select.name == "top_k" else f"{self.acquisition}+{self.select.name}"

    @property
    def stream(self) -> str:
        """Names the stream of its draws: another name in results draws nothing else."""
        return self.acquisition or self.select.name

    @property
    def score(self) -> str | None:
        """The acquisition function whose scores it needs, if any."""
        return "mutual_information" if self.select.name == "batch_bald" else self.acquisition


def shortlisted(select: Select, count: int, candidates: int) -> int:
    """How many of the candidates `batch_bald` chooses `count` from."""
    return min(math.ceil(select.settings["shortlist"] * count), candidates)
