"""The members of an ensemble: which checkpoints vote, and what is in their files. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headrace.engines._base import Handle
from headrace.errors import InputError
from headrace.specs.search_tables import MembersTable
from headrace.store import checkpoints
from headrace.store import experiments as store


class Voter(NamedTuple):
    """A member.

    Attributes:
        name: Unique among the members; it holds what the file depends on.
        file: The checkpoint.
        sha256: Of the file: any other content is refused when it is read. None if it was never kept.
    """

    name: str
    file: Handle
    sha256: str | None


Voters = tuple[Voter, ...]


def given(own: MembersTable) -> tuple[str, ...]:
    """The paths of members that exist already."""
    if own.experiment is None:
        return own_checkpoints(own.checkpoints or ())
    return tuple(map(str, checkpoints.members(store.load(own.experiment), best=own.best)))


def own_checkpoints(patterns: Sequence[str]) -> tuple[str, ...]:
    """The files that the patterns name, sorted within each, each once.

    Raises:
        InputError: A pattern names none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        matching = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        # A pattern does not mean hidden files, which macOS writes next to others.
        paths = sorted(str(one) for one in matching if one.name[0] != "." or path.name[0] == ".")
        if not paths:
            raise InputError(
                "no checkpoint matches this pattern",
                where="members.checkpoints",
                got=pattern,
                fix=f"Patterns are relative to {Path.cwd()}.",
            )
        found |= dict.fromkeys(paths)
    return tuple(found)
