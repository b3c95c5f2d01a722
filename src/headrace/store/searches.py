"""A search's folder: `search.toml`, what was asked, and `outcome.json`, its outcome.

Results can be computed again from the outcome: it names the runs that were compared, and their records say
what they came to. Nothing has to be loaded, trained or scored for it. Folders of older versions lack it.
Imports no torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from headrace.errors import DamagedError, InputError
from headrace.records import Record
from headrace.sealed import read_record, write_record, write_toml
from headrace.specs.search import SubsetSearch
from headrace.store.chosen import CHOSEN, Chosen, read_chosen
from headrace.store.facts import Change
from headrace.store.outcome import Cost, Measured, Outcome, Transferred, Waiting
from headrace.store.runs import RUN, RunRecord, read_run
from headrace.store.search_facts import Facts

SEARCH = "search.toml"
FILE = "outcome.json"
_AGAIN = "Give headrace subset again: only what is missing is done again."


class Compared(Record):
    """The runs on one subset.

    Attributes:
        seed: Which of the comparison's searches.
        group: The method, or the baseline.
        size: Examples in the subset, duplicates counted.
        runs: The keys of the runs.
    """

    seed: int
    group: str
    size: int
    runs: tuple[str, ...] = Field(min_length=1)


class ComparedElsewhere(Record):
    """The runs of other models on the same subsets.

    Attributes:
        name: What the transfer is called.
        facts: Facts about its workload.
        compared: Its comparison.
    """

    name: str
    facts: Facts
    compared: tuple[Compared, ...]


class Missing(Record):
    """What people are asked.

    Attributes:
        missing: How many labels are missing.
        tasks: The files with the questions, as they are in the folder.
    """

    missing: int = Field(ge=1)
    tasks: tuple[str, ...]


class SearchRecord(Record):
    """The outcome of a search, as it is kept; see `Outcome` for what is not described here.

    Attributes:
        search: Its file, as canonical text.
        runs: The keys of all different runs, sorted.
        compared: The comparison; empty without one.
        subset: The name of the subset file.
        chosen: The key of what was chosen.
    """

    format: Literal[1] = 1
    search: str
    facts: Facts
    plan: tuple[Cost, ...]
    spent: tuple[Cost, ...]
    runs: tuple[str, ...] = ()
    scored: int = Field(ge=0)
    seconds: float = Field(ge=0, allow_inf_nan=False)
    compared: tuple[Compared, ...] = ()
    transfers: tuple[ComparedElsewhere, ...] = ()
    subset: str | None = None
    waiting: Missing | None = None
    chosen: str | None = None
    changes: tuple[Change, ...] = ()
    earlier: int = 0


def write_asked(directory: Path, spec: SubsetSearch) -> None:
    """Keep what was asked.

    Raises:
        StorageError: The file cannot be written.
    """
    write_toml(directory / SEARCH, spec.to_toml())


def read_asked(directory: Path) -> SubsetSearch:
    """What was asked last in a search's folder; older folders have no seal on it.

    Raises:
        InputError: There is no search in the folder.
        DamagedError: The file is truncated or was altered.
    """
    return SubsetSearch.from_stored(directory / SEARCH)


def write_search(directory: Path, record: SearchRecord) -> None:
    """Keep the outcome of a search.

    Raises:
        StorageError: The file cannot be written.
    """
    write_record(directory / FILE, record, indent=1)


def load_search(directory: Path) -> Outcome | None:
    """The outcome of the search in a folder when it last ended, or began to wait for people.

    Args:
        directory: Its folder.

    Returns:
        None if it has not come to an end yet, or if the version that ended it kept no record of it: then
        `results.json` says what was concluded, and cannot be computed again.

    Raises:
        DamagedError: A stored file is missing, truncated or was altered.
        InputError: What was chosen is of another search, or the search's file cannot be read any more.
    """
    record = read_record(directory / FILE, SearchRecord, fix=_AGAIN, older=False)
    if record is None:
        return None
    runs = {key: _run(directory, key) for key in record.runs}
    return Outcome(
        directory=directory,
        spec=_spec(record, directory),
        facts=record.facts,
        plan=record.plan,
        spent=record.spent,
        trained=sum(run.examples_trained for run in runs.values()),
        scored=record.scored,
        seconds=record.seconds,
        measured=tuple(_measured(record.compared, record.facts, directory)),
        transfers=tuple(
            Transferred(
                name=one.name,
                facts=one.facts,
                measured=tuple(_measured(one.compared, one.facts, directory)),
            )
            for one in record.transfers
        ),
        subset=None if record.subset is None else directory / record.subset,
        waiting=_waiting(record.waiting, directory),
        chosen=_chosen(record.chosen, directory),
        changes=record.changes,
        earlier=record.earlier,
    )


def _spec(record: SearchRecord, directory: Path) -> SubsetSearch:
    return SubsetSearch.from_dict(tomllib.loads(record.search), where=str(directory / FILE))


def _measured(compared: Iterable[Compared], facts: Facts, directory: Path) -> Iterator[Measured]:
    for one in compared:
        runs = tuple(_metric(directory, key, facts.metric) for key in one.runs)
        yield Measured(seed=one.seed, group=one.group, size=one.size, runs=runs)


def _metric(directory: Path, key: str, metric: str) -> float:
    found = _run(directory, key).metrics.get(metric)
    if found is None:
        what = f"the record of a run does not hold {metric}"
        raise DamagedError(what, where=str(directory / "runs" / key / RUN), fix=_AGAIN)
    return found


def _run(directory: Path, key: str) -> RunRecord:
    folder = directory / "runs" / key
    record = read_run(folder)
    if record is None:
        what = "the record of a run is missing, truncated or was altered"
        raise DamagedError(what, where=str(folder / RUN), fix=_AGAIN)
    return record


def _waiting(missing: Missing | None, directory: Path) -> Waiting | None:
    if missing is None:
        return None
    return Waiting(missing=missing.missing, tasks=tuple(directory / task for task in missing.tasks))


def _chosen(key: str | None, directory: Path) -> Chosen | None:
    """What was chosen, if it is that of this outcome: another search may have begun in the folder."""
    if key is None:
        return None
    chosen = read_chosen(directory)
    if chosen is None or chosen.key != key:
        what = "what was chosen belongs to another search than the one that ended in this folder"
        raise InputError(what, where=str(directory / CHOSEN), fix=_AGAIN)
    return chosen
