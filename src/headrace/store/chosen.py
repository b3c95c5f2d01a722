"""What a search chose, kept for its report: which examples were taken, and some of them to look at.

`chosen/chosen.json` holds the record, `chosen/METHOD.parquet` every example as the first seed's last round
saw it: `example`, its `id` if it has one, `times` chosen, `round` (-1: not chosen), `score`, `predicted`,
and `label` unless it is hidden.

"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from headrace.errors import DamagedError
from headrace.records import Record
from headrace.sealed import read_record, sha256
from headrace.sealed_tables import parquet
from headrace.store.portrait_records import ExamplesShown

if TYPE_CHECKING:
    import polars as pl


CHOSEN = "chosen"
RECORD = "chosen.json"


class Taken(Record):
    """What one subset holds.

    Attributes:
        seed: Which of the comparison's searches.
        group: The method, or "random".
        size: Examples in it, duplicates counted.
        different: Different examples.
        classes: Different examples of each class; None if labels are hidden.
        wrong: Different examples with a wrong label; None if the right labels are not available.
    """

    seed: int
    group: str
    size: int
    different: int
    classes: tuple[int, ...] | None = None
    wrong: int | None = None


class Chosen(Record):
    """What a search chose.

    Attributes:
        key: Of everything that it depends on.
        classes: The classes' names.
        whole: Examples of each class in the training set; None if labels are hidden.
        wrong: Wrong labels in the training set; None if the right labels are not available.
        examples: The size of the training set.
        taken: Every subset of every seed.
        galleries: Method -> examples that it chose, and did not, with the first seed.
        tables: Method -> SHA-256 of `METHOD.parquet`; empty in older files.
    """

    format: Literal[1] = 1
    key: str
    classes: tuple[str, ...]
    whole: tuple[int, ...] | None = None
    wrong: int | None = None
    examples: int = Field(ge=1)
    taken: tuple[Taken, ...] = ()
    galleries: dict[str, ExamplesShown] = Field(default_factory=dict)
    tables: dict[str, str] = Field(default_factory=dict)


def read_chosen(directory: Path) -> Chosen | None:
    """What the search in a folder chose, or None if it has not come that far.

    Raises:
        DamagedError: The file is truncated or was altered.
    """
    fix = "Delete it and give the same command again: only this file is made anew."
    return read_record(directory / CHOSEN / RECORD, Chosen, fix=fix, older=False)


def read_table(directory: Path, group: str) -> pl.DataFrame | None:
    """Every example as the first seed's last round of a method saw it, or None.

    Raises:
        DamagedError: The file is truncated or was altered.
    """
    path = directory / CHOSEN / f"{group}.parquet"
    if not path.is_file():
        return None
    fix = "Delete the folder chosen and give headrace subset again."
    kept = None if (chosen := read_chosen(directory)) is None else chosen.tables.get(group)
    if kept not in (None, sha256(path)):
        raise DamagedError("what was chosen was altered", where=str(path), fix=fix)
    return parquet(path, "what was chosen", fix)[0]
