"""The names of selection strategies in search files, and what each chooses by. Imports no torch.

One is added by a file with its function, which keeps the contract in `_base`, and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from headrace.homes import Entry

if TYPE_CHECKING:
    import numpy as np

    from headrace.selection._base import Indices

Input = Literal["scores", "classes", "features", "probabilities", "member_probabilities"]
"""What a strategy may choose by: an acquisition function's scores [examples], classes [examples], the last
member's features [examples features] and probabilities [examples classes], or those of every member
[members examples classes]. Classes go with scores only, since what looks at models is done by workers."""

_ROOM = "headrace.selection."


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting of a strategy.

    Attributes:
        default: Its value where none is given.
        least: The smallest value.
        most: The largest.
        below: Whether values must stay below `most`.
        because: What the cost grows with, if that is why there is a largest value.
    """

    default: float | int
    least: float
    most: float
    below: bool = False
    because: str | None = None


@dataclass(frozen=True, kw_only=True)
class Strategy(Entry):
    """A selection strategy.

    Attributes:
        by: What it chooses by, in the order of its arguments.
        draws: Whether it takes a random generator.
        apart: Whether it keeps away from what was chosen before, its `initial`, and so chooses nothing twice.
        one_class: Whether an example must have one class.
        shortlist: Set for a strategy that is too slow for all candidates: it is given those with the highest
            mutual information: this many times the number of examples wanted.
        settings: Its own settings.
    """

    by: tuple[Input, ...]
    draws: bool = False
    apart: bool = False
    one_class: bool = False
    shortlist: Setting | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict[str, Setting])

    @property
    def in_file(self) -> dict[str, Setting]:
        """The settings that a search file may give."""
        return ({"shortlist": self.shortlist} if self.shortlist else {}) | dict(self.settings)

    def choose(
        self,
        inputs: Mapping[Input, Any],
        count: int,
        rng: np.random.Generator,
        *,
        initial: Any = (),
        candidates: Any = None,
        settings: Mapping[str, float | int],
    ) -> Indices:
        """Call it with what it takes of all this.

        Args:
            inputs: At least what is named in `by`.
            count: How many examples.
            rng: The stream of what is drawn.
            initial: What was chosen before.
            candidates: Indices that may be chosen; all by default.
            settings: Of `in_file`.
        """
        named = {name: value for name, value in settings.items() if name in self.settings}
        named |= {"initial": initial} if self.apart else {}
        drawn = (rng,) if self.draws else ()
        return self.find()(*(inputs[name] for name in self.by), count, *drawn, candidates=candidates, **named)


STRATEGIES: dict[str, Strategy] = {
    "top_k": Strategy(home=_ROOM + "ranked:top_k", by=("scores",)),
    "power": Strategy(
        home=_ROOM + "ranked:power",
        by=("scores",),
        draws=True,
        settings={"exponent": Setting(default=1.0, least=0, most=1_000)},
    ),
    "stratified": Strategy(
        home=_ROOM + "balanced:stratified",
        by=("scores",),
        draws=True,
        settings={
            "drop_hardest": Setting(default=0.2, least=0, most=1, below=True),
            "strata": Setting(
                default=50, least=1, most=1_000_000, because="examples are counted in each of them"
            ),
        },
    ),
    "class_balanced": Strategy(
        home=_ROOM + "balanced:class_balanced", by=("scores", "classes"), one_class=True
    ),
    "k_center": Strategy(home=_ROOM + "farthest:k_center", by=("features",), apart=True),
    "score_times_distance": Strategy(
        home=_ROOM + "farthest:score_distance", by=("scores", "features"), apart=True
    ),
    "badge": Strategy(
        home=_ROOM + "gradients:badge", by=("probabilities", "features"), draws=True, one_class=True
    ),
    "batch_bald": Strategy(
        home=_ROOM + "joint_entropy:batch_bald",
        by=("member_probabilities",),
        draws=True,
        one_class=True,
        shortlist=Setting(default=4.0, least=1, most=1e6),
        settings={
            "configurations": Setting(
                default=256, least=1, most=1_000_000, because="each has a probability for every member"
            )
        },
    ),
}
"""Name in search files -> strategy."""

FUNCTIONS: dict[str, Strategy] = {entry.home.rpartition(":")[2]: entry for entry in STRATEGIES.values()}
"""Name in `headrace.selection` -> strategy."""
