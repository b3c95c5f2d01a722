"""Portraits in a store: `portraits/NAME/portrait.json` and `examples.parquet` for the study NAME.

They are stored apart from the studies' parts, so that any tool can still read all parts at once. The table
holds one row per example; it is written first, and the JSON file with its checksum makes it count.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import DamagedError
from headrace.records import Record
from headrace.sealed import read_record, read_table_of, write_pair
from headrace.store.experiments import StoredExperiment, folder_name
from headrace.store.portrait_choice import PortraitTask, portrait_tasks
from headrace.store.portrait_records import Portrait

if TYPE_CHECKING:
    import polars as pl

PORTRAITS = "portraits"
PORTRAIT, EXAMPLES = "portrait.json", "examples.parquet"


class Kept(Record):
    """What `portrait.json` holds, after its checksum."""

    table_sha256: str
    portrait: Portrait


@dataclass(frozen=True, kw_only=True)
class StoredPortrait:
    """A portrait with its table.

    Attributes:
        portrait: How it was made, and what is shown.
        examples: One row per example: example, count, label, predicted and clean if known, the scores.
    """

    portrait: Portrait
    examples: pl.DataFrame


def write_portrait(directory: Path, portrait: Portrait, table: bytes) -> None:
    """Store a portrait; replaces that of the same study.

    Raises:
        StorageError: The disk is full, or the files cannot be written.
    """
    folder = portrait_directory(directory, portrait.study.name)
    kept = Kept(table_sha256=hashlib.sha256(table).hexdigest(), portrait=portrait)
    # Laid out by the standard library, as such files have always been.
    body = json.dumps(kept.model_dump(mode="json")).encode()
    write_pair(folder / PORTRAIT, kept, folder / EXAMPLES, table, body=body)


def read_portrait(directory: Path, study: str) -> StoredPortrait | None:
    """The portrait of a study, or None without one.

    Raises:
        DamagedError: It is truncated, was altered, or is of another study.
    """
    path = portrait_directory(directory, study) / PORTRAIT
    fix = f"Delete {PORTRAIT} there and run again: only this portrait is made again."
    kept = read_record(path, Kept, fix=fix, older=False)
    if kept is None:
        return None
    if kept.portrait.study.name != study:
        raise DamagedError(f"is of study {kept.portrait.study.name!r}", where=str(path), fix=fix)
    table = read_table_of(path.parent / EXAMPLES, kept.table_sha256, fix=fix)
    return StoredPortrait(portrait=kept.portrait, examples=table)


def portraits(stored: StoredExperiment) -> list[StoredPortrait]:
    """The portraits of an experiment that exist and are up to date, in the order of its studies."""
    found = ((s, read_portrait(stored.directory, s.study.name)) for s in portrait_tasks(stored))
    return [portrait for task, portrait in found if portrait is not None and _is_of(portrait, task)]


def missing(stored: StoredExperiment) -> list[PortraitTask]:
    """The portraits that are yet to be made; one that failed is tried again."""
    there = {p.portrait.study.name for p in portraits(stored) if p.portrait.error is None}
    return [task for task in portrait_tasks(stored) if task.study.name not in there]


def _is_of(stored: StoredPortrait, task: PortraitTask) -> bool:
    """Whether it is the portrait asked for, and not that of a trial that was the best earlier."""
    made = stored.portrait
    return (made.trial, made.asked_steps) == (task.trial, task.steps)


def portrait_directory(directory: Path, study: str) -> Path:
    """Where a study's portrait is stored."""
    return directory / PORTRAITS / folder_name(study)
