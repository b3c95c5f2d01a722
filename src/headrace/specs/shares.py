"""Shares of an experiment's studies, for machines that do not speak to each other.

Which studies a share has depends on the experiment alone, so every machine finds it by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from headrace.errors import InputError
from headrace.records import Record
from headrace.specs.equal import equal_studies

if TYPE_CHECKING:
    from headrace.specs.experiment import Experiment
    from headrace.specs.studies import StudyKey

STEP_COST = 128
"""What a step costs in addition to its examples, in examples: a guess, to begin with the longest studies."""

TYPICAL_CRITICAL_BATCH_SIZE = 256
"""Where a study's steps stop falling with the batch size: another guess, for the same end."""

_TYPICAL_EXAMPLES = 50_000
"""Of a training set, where the budget is in epochs: a guess again."""
_FORM = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})", re.ASCII)


class Share(Record):
    """One of several shares.

    Attributes:
        number: Which, from 1.
        of: How many there are.
    """

    number: int = Field(ge=1)
    of: int = Field(ge=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.number > self.of:
            raise ValueError("number must be at most of")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """The share that `--part` names, such as "3/8".

        Raises:
            InputError: It is not of this form, or K is larger than N.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or int(match[1]) > int(match[2]):
            fix = "For example --part 3/8 for the third of eight parts."
            raise InputError("must be K/N with 1 <= K <= N", where="--part", got=text, fix=fix)
        return cls(number=int(match[1]), of=int(match[2]))

    @property
    def name(self) -> str:
        """As a part of a folder's name."""
        return f"part-{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def studies_of(experiment: Experiment, share: Share) -> list[StudyKey]:
    """The studies of one share, in the order of the experiment; each is in exactly one share.

    The most expensive study goes first, each to the share with the least work so far: no share is then longer
    than the others by more than one study. Studies that may be the same function, of which one is trained,
    are in one share.

    Raises:
        InputError: There are more shares than studies that are trained.
    """
    equal = {} if experiment.grid.repeat_equal else equal_studies(experiment)
    studies = experiment.studies()
    costs = {study.name: _cost(experiment, study) for study in studies if study.name not in equal}
    if share.of > len(costs):
        different = " that are not the same function" if equal else ""
        raise InputError(
            f"a part needs at least one study, and the experiment has {len(costs)}{different}",
            where="--part",
            got=str(share),
            fix=f"Use at most {len(costs)} {'part' if len(costs) == 1 else 'parts'}.",
        )
    work = [(0.0, number) for number in range(1, share.of + 1)]
    mine: set[str] = set()
    for name in sorted(costs, key=lambda name: -costs[name]):
        least = min(work)
        work[work.index(least)] = (least[0] + costs[name], least[1])
        if least[1] == share.number:
            mine.add(name)
    return [study for study in studies if equal.get(study.name, study.name) in mine]


def expected_cost(batch_size: int, budget_steps: float | None) -> float:
    """A guess of how long a study takes, to compare studies by.

    Args:
        batch_size: Its batch size.
        budget_steps: Its budget if every trial is trained to it; None if trials stop with the bound.
    """
    steps = 1 + TYPICAL_CRITICAL_BATCH_SIZE / batch_size if budget_steps is None else budget_steps
    return steps * (batch_size + STEP_COST)


def _cost(experiment: Experiment, study: StudyKey) -> float:
    """The guess without a look at the data."""
    batch_size, budget = study.configuration.batch_size, experiment.training.budget
    if experiment.training.stop == "bound":
        return expected_cost(batch_size, None)
    steps = (
        budget.steps if budget.steps is not None else (budget.epochs or 0) * _TYPICAL_EXAMPLES / batch_size
    )
    return expected_cost(batch_size, steps)
