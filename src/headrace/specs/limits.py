"""How large the numbers and lists of the files may be: what is beyond would fill the memory or never end.

A limit is far above what makes sense, and says what the cost grows with. It is checked before anything is
allocated.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field

MOST_TRIALS = 10_000
MOST_STUDIES = 10_000
MOST_COUNTED = 10**9
"""In a policy's setting that counts passes, examples or steps."""
MOST_VALUES = 1_000
"""In one list of the file."""


class Refusal(ValueError):
    """A value that is refused, with what to do instead; pydantic collects it with the others.

    Args:
        what: What is wrong.
        fix: What to do next.
    """

    def __init__(self, what: str, fix: str | None) -> None:
        super().__init__(what)
        self.fix = fix


def at_most(limit: int, because: str, fix: str | None = None) -> AfterValidator:
    """Refuse numbers above `limit`.

    Args:
        limit: The largest number that is taken.
        because: What the cost grows with, to follow "because".
        fix: What to do instead of using a smaller number.
    """

    def check(value: float) -> float:
        if value > limit:
            raise Refusal(f"must be at most {limit:,}, because {because}", fix or "Use a smaller number.")
        return value

    return AfterValidator(check)


def _few(value: Any) -> Any:
    # Before each entry is looked at: a million wrong ones would be a million errors.
    if isinstance(value, list | tuple | dict) and len(cast("Sized", value)) > MOST_VALUES:
        raise Refusal(f"must have at most {MOST_VALUES:,} entries", "Use fewer.")
    return value


FEW = BeforeValidator(_few)
"""For lists and tables: refuse more than `MOST_VALUES` entries."""

Name = Annotated[str, Field(max_length=1_000)]
Steps = Annotated[int, Field(ge=1), at_most(10**12, "that many steps take years")]
Epochs = Annotated[
    float, Field(gt=0, allow_inf_nan=False), at_most(10**9, "that many passes over the data take years")
]
Tokens = Annotated[float, Field(gt=0, allow_inf_nan=False), at_most(10**18, "that many tokens take years")]
Count = Annotated[
    int, Field(ge=1), at_most(2**40, "an index of that many examples takes terabytes of memory")
]
"""A number of examples."""
Workers = Annotated[int, Field(ge=1), at_most(1_000_000, "each worker has a part of every batch")]
Seed = Annotated[int, Field(ge=0), at_most(2**128 - 1, "a seed has 128 bits")]
Trials = Annotated[
    int,
    Field(ge=1),
    at_most(MOST_TRIALS, "all trials of a study are looked at again whenever one of them ends"),
]
Attempts = Annotated[
    int,
    Field(ge=1),
    at_most(4 * MOST_TRIALS, "all trials of a study are looked at again whenever one of them ends"),
]
MOST_PACKED = 1_024


def _pack(value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PACKED
    if value != "auto" and not number:
        raise Refusal(f'must be "auto" or a whole number from 1 to {MOST_PACKED:,}', None)
    return value


Pack = Annotated[Literal["auto"] | int, BeforeValidator(_pack)]
"""How many trials are trained as one."""
Checkpoints = Annotated[int, Field(ge=1), at_most(10_000, "the weights of the model are stored each time")]
Runs = Annotated[int, Field(ge=1), at_most(10_000, "each run is a training in every round")]
Repeats = Annotated[int, Field(ge=1), at_most(10_000, "the whole search is repeated for each seed")]
Fresh = Annotated[int, Field(ge=2), at_most(10_000, "each study's best setting is trained for each seed")]
"""Of one seed no scatter is known."""
