"""How the subsets of an experiment's grid are named. Opens no file and imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import InputError
from headrace.specs.studies import FULL

if TYPE_CHECKING:
    pass


RANDOM = "random:"
"""What the name of a random subset begins with; its share of the training set follows."""


def is_file(name: str) -> bool:
    """Whether the name is the path of a subset file."""
    return name.endswith(".parquet")


def is_search(path: str) -> bool:
    """Whether the path is that of a search file, whose subset is still to be found."""
    return path.endswith(".toml")


def is_random(name: str) -> bool:
    """Whether the name is "random:SHARE"."""
    return name.startswith(RANDOM)


def share(name: str) -> float | None:
    """The share of "random:SHARE", or None if it is not a number in (0, 1]."""
    try:
        number = float(name.removeprefix(RANDOM))
    except ValueError:
        return None
    return number if 0 < number <= 1 else None


def canonical(name: str) -> str:
    """The one spelling of a share: "random:0.250" and "random:.25" are "random:0.25"."""
    number = share(name) if is_random(name) else None
    return name if number is None else f"{RANDOM}{number!r}"


def is_built_in(name: str) -> bool:
    """Whether the name is "full" or a random subset, right or wrong."""
    return name == FULL or is_random(name)


def check_subset(spec: str) -> None:
    """Check the form of `spec`; opens no file and imports no torch.

    Raises:
        InputError: It is not "full", "random:SHARE" with a share in 0..1, or the path of a Parquet file.
    """
    if spec == FULL or is_file(spec) or (is_random(spec) and share(spec) is not None):
        return
    raise InputError(
        "unknown subset",
        where="grid.subset",
        got=spec,
        fix="Use 'full', 'random:0.25', or the path of a subset file (.parquet).",
    )
