"""How far a search is, from what its folder holds. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.store import lock
from headrace.store.searches import read_asked


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """How far a search is.

    Attributes:
        workload: What is searched.
        subsets: Subsets found: one for each seed, method and size.
        of: How many there will be.
        runs: Trainings done, those of the comparison included.
        process: The process that searches, or None.
        finished: Whether the results are there, and nobody works on others.
    """

    workload: str
    subsets: int
    of: int
    runs: int
    process: str | None
    finished: bool


def progress_of(directory: Path) -> SearchState:
    """The state of the search in a folder.

    Raises:
        InputError: There is none.
        DamagedError: Its file is truncated or was altered.
    """
    spec = read_asked(directory)
    wanted = [(seed, group) for seed in spec.repeats for group in spec.groups]
    found = [
        path
        for seed, group in wanted
        for path in (directory / "subsets" / f"seed-{seed}").glob(f"{group}-*.parquet")
        if path.stem.removeprefix(f"{group}-").isdigit()
    ]
    process = lock.holder(directory)
    done = len(found) >= len(wanted) * len(spec.search.sizes) and (directory / "results.json").is_file()
    return SearchState(
        workload=spec.workload.name,
        subsets=len(found),
        of=len(wanted) * len(spec.search.sizes),
        runs=sum(1 for _ in (directory / "runs").glob("*/run.json")),
        process=process,
        finished=done and process is None,
    )
