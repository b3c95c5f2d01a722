"""The analysis of a subset search: all that its page shows, as records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.analysis.chosen import Holding, holdings
from headrace.analysis.looked_at import LookedAt, looked_at
from headrace.analysis.results import RESULTS
from headrace.analysis.stored_results import read_object
from headrace.analysis.subset_search import conclude
from headrace.errors import DamagedError, HeadraceError, InputError
from headrace.records import first_finding
from headrace.sealed import read_toml
from headrace.store.chosen import Chosen, read_chosen, read_table
from headrace.store.searches import SEARCH, load_search, read_asked

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.outcome import Outcome

Span = tuple[float, float]


class _Part(BaseModel):
    """A part of results.json; keys that no page shows are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Mean(_Part):
    """The metric of one group at one size: its mean over the seeds, and Student's interval of that."""

    group: str
    size: int
    share: float
    mean: float
    interval: Span | None
    seeds: int


class Difference(_Part):
    """A group's difference from a baseline."""

    group: str
    difference: float
    interval: Span
    verdict: str


class Versus(_Part):
    """All groups of one size against one baseline."""

    size: int
    baseline: str
    groups: tuple[Difference, ...]


class StageCost(_Part):
    """What one stage of one search costs."""

    seed: int
    group: str
    stage: str
    size: int
    examples_trained: int
    examples_scored: int
    labels_bought: int

    @property
    def key(self) -> tuple[int, str, str, int]:
        """What distinguishes it from others."""
        return self.seed, self.group, self.stage, self.size


class TotalCost(_Part):
    """What the search costs: stage by stage, and all together with what groups share counted once."""

    planned: tuple[StageCost, ...]
    spent: tuple[StageCost, ...]
    examples_trained: int
    examples_scored: int


class Selection(_Part):
    """How a method chooses by its scores."""

    name: str


class MethodUsed(_Part):
    """A method of the search."""

    name: str
    acquisition: str | None
    select: Selection


class Compared(_Part):
    """What training on the subsets came to."""

    metric: str
    table: tuple[Mean, ...]
    comparisons: tuple[Versus, ...]


class Transfer(Compared):
    """What another training came to on the same subsets."""

    name: str


class SearchResults(Compared):
    """What results.json holds of a search, as far as pages show it."""

    conclusions: tuple[str, ...] = Field(min_length=1)
    workload: str
    examples: int = Field(ge=1)
    seeds: int
    acquisition: tuple[str, ...]
    methods: tuple[MethodUsed, ...]
    subset: str | None
    transfers: tuple[Transfer, ...] = ()
    cost: TotalCost


@dataclass(frozen=True, kw_only=True)
class SearchAnalysis:
    """All that the page of a search shows.

    Attributes:
        results: What was found.
        content: The object of results.json.
        text: The text of the search file, or None.
        people: Whether people gave the labels: then nothing can be compared.
        classes: The names of the classes.
        holdings: What the subsets hold; empty where the search has not come so far.
        looked_at: Method -> some examples that it chose, and did not.
        last_rounds: Method -> every example as its last round with the first seed saw it.
    """

    results: SearchResults
    content: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    people: bool = False
    classes: tuple[str, ...] = ()
    holdings: tuple[Holding, ...] = ()
    looked_at: Mapping[str, LookedAt] = field(default_factory=dict)
    last_rounds: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def is_search(directory: Path) -> bool:
    """Whether the folder is that of a subset search."""
    return (directory / SEARCH).is_file()


def analyse_search(outcome: Outcome) -> SearchAnalysis:
    """The analysis of a search, finished or waiting for people.

    Raises:
        DamagedError: A stored file is truncated or was altered.
    """
    content = conclude(outcome)
    results = SearchResults.model_validate_json(json.dumps(content))
    # What was asked of these results: another search may have begun in the folder.
    text, people = outcome.spec.to_toml(), outcome.spec.search.oracle == "people"
    return _analysis(outcome.directory, results, content, outcome.chosen, text=text, people=people)


def read_search(directory: Path) -> SearchAnalysis:
    """The analysis of a search from what its folder holds.

    Of a folder of a version that kept no record of what was compared, the results are those of its
    `results.json`; of every other they are computed again.

    Raises:
        InputError: The search has not come to any results yet.
        DamagedError: A stored file is truncated or was altered.
    """
    outcome = load_search(directory)
    if outcome is not None:
        # Nothing of it is shown, but whoever looks at the folder must learn that it was altered.
        read_asked(directory)
        return analyse_search(outcome)
    content = read_object(directory / RESULTS)
    if not content:
        raise InputError("the search has no results yet", where=str(directory), fix=_AGAIN)
    results = _checked(content, directory / RESULTS)
    path = directory / SEARCH
    text = read_toml(path) if path.is_file() else None
    return _analysis(
        directory, results, content, read_chosen(directory), text=text, people=_by_people(directory)
    )


_AGAIN = "Give headrace subset again."


def _checked(content: Mapping[str, Any], path: Path) -> SearchResults:
    try:
        return SearchResults.model_validate(content)
    except ValidationError as error:
        what = f"does not hold the results of a search ({first_finding(error)})"
        raise DamagedError(what, where=str(path), fix=_AGAIN) from None


def _by_people(directory: Path) -> bool:
    try:
        return read_asked(directory).search.oracle == "people"
    except HeadraceError:
        # There is no file, or one of another version.
        return False


def _analysis(
    directory: Path,
    results: SearchResults,
    content: Mapping[str, Any],
    chosen: Chosen | None,
    *,
    text: str | None,
    people: bool,
) -> SearchAnalysis:
    tables = {group: read_table(directory, group) for group in results.acquisition}
    galleries = {} if chosen is None else chosen.galleries
    return SearchAnalysis(
        results=results,
        content=content,
        text=text,
        people=people,
        classes=() if chosen is None else chosen.classes,
        holdings=() if chosen is None else tuple(holdings(chosen)),
        looked_at={name: looked_at(gallery) for name, gallery in galleries.items()},
        last_rounds={group: table for group, table in tables.items() if table is not None},
    )
