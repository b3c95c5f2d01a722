"""Sealed tables of a search's folder; each holds its own name, so that none is mistaken for another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.sealed import damaged, read_table

if TYPE_CHECKING:
    import polars as pl


def of(path: Path) -> str:
    """Which table of the folder this is: its name, and that of its folder."""
    return f"{path.parent.name}/{path.stem}"


def read_own(path: Path, what: str) -> tuple[pl.DataFrame, dict[str, str]]:
    """A sealed table and its metadata, if it was written as this file; older ones do not say.

    Raises:
        DamagedError: It is truncated, was altered, or is another table.
    """
    frame, metadata = read_table(path, what)
    if metadata.get("of", of(path)) != of(path):
        raise damaged(path, what)
    return frame, metadata
