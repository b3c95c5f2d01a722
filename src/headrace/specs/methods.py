"""How the next examples are chosen: by an acquisition function, a strategy, or both. Imports no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from headrace.selection.registry import STRATEGIES, Setting, Strategy
from headrace.specs.document import Table
from headrace.specs.limits import at_most

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
"""A name that can be part of a file's."""


class _Select(Table):
    """From scores to examples; the settings are those of `headrace.selection`, as the registry names them.

    Attributes:
        name: The strategy.
    """

    name: str = "top_k"

    @property
    def strategy(self) -> Strategy:
        """The facts about it."""
        return STRATEGIES[self.name]

    @property
    def settings(self) -> dict[str, float | int]:
        """The settings that have an effect with this strategy."""
        given = self.model_dump(exclude_none=True)
        return {key: given.get(key, setting.default) for key, setting in self.strategy.in_file.items()}

    @property
    def takes_scores(self) -> bool:
        """Whether it chooses by an acquisition function."""
        return "scores" in self.strategy.by

    @property
    def takes_features(self) -> bool:
        """Whether it looks at the input of the last member's last linear layer."""
        return "features" in self.strategy.by

    @property
    def takes_members(self) -> bool:
        """Whether it looks at what every member predicts, of a shortlist."""
        return "member_probabilities" in self.strategy.by

    @property
    def in_worker(self) -> bool:
        """Whether it needs models, so that a worker process must do it."""
        return self.takes_features or self.takes_members


def _type(setting: Setting) -> Any:
    """What the file may hold for a setting."""
    kind: Any = type(setting.default)
    form: Any = Annotated[kind, Field(ge=setting.least, lt=setting.most)]
    if setting.because is not None:
        form = Annotated[kind, Field(ge=setting.least), at_most(int(setting.most), setting.because)]
    elif not setting.below:
        form = Annotated[kind, Field(ge=setting.least, le=setting.most)]
    return form | None


if TYPE_CHECKING:

    class Select(_Select):
        """As below, without the settings."""

else:
    Select = create_model(
        "Select",
        __base__=_Select,
        __module__=__name__,
        __doc__=_Select.__doc__,
        name=(Literal[tuple(STRATEGIES)], "top_k"),
        **{key: (_type(one), None) for each in STRATEGIES.values() for key, one in each.in_file.items()},
    )


class Method(Table):
    """One way to search; each has a search of its own from the same start.

    Attributes:
        name: What it is called in results; by default what it does.
        acquisition: The acquisition function, if the strategy takes one.
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
        return "mutual_information" if self.select.takes_members else self.acquisition


def shortlisted(select: Select, count: int, candidates: int) -> int:
    """How many of the candidates a strategy by all members chooses `count` from."""
    return min(math.ceil(select.settings["shortlist"] * count), candidates)
