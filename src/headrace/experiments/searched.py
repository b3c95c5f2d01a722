"""Subsets that are searched for as part of an experiment: `[subsets] half = { search = "half.toml" }`.

A search's subset is a file like any other once it is found, in `subsets/NAME/` of the experiment's folder;
what identifies the experiment's trials is the checksum of that file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.errors import InputError, InputErrors
from headrace.specs.experiment import Experiment
from headrace.specs.search import SubsetSearch
from headrace.specs.subset_names import RANDOM, is_search

SUBSETS, SUBSET = "subsets", "subset.parquet"


def folder_of(directory: Path, name: str) -> Path:
    """Where the search of a subset has its folder.

    Args:
        directory: The experiment's folder.
        name: The subset's name in the grid.
    """
    return directory / SUBSETS / name


def searches(experiment: Experiment) -> dict[str, SubsetSearch]:
    """Subset -> the search that is to find it, read and checked.

    Raises:
        InputError: A file cannot be read.
        InputErrors: Searches that do not fit the experiment, or the errors of one file.
    """
    asked = {name: path for name, path in experiment.subsets.items() if is_search(path)}
    found = {name: SubsetSearch.from_toml(path) for name, path in asked.items()}
    errors = [error for name, spec in found.items() for error in _misfits(experiment, name, spec)]
    if errors:
        raise InputErrors(errors, where="the searches of [subsets]")
    return found


def _misfits(experiment: Experiment, name: str, spec: SubsetSearch) -> Iterator[InputError]:
    """Why the subset that a search finds would be of no use to the experiment."""
    where = f"subsets.{name}.search"
    if not spec.workload.same_data(experiment.workload):
        yield InputError(
            f"searches {spec.workload.described}, and the experiment trains {experiment.workload.described}",
            where=where,
            got=experiment.subsets[name],
            fix="Give both the same [workload].",
        )
    if spec.search.oracle == "people":
        yield InputError(
            "waits for labels that people give",
            where=where,
            got=experiment.subsets[name],
            fix="Run it with headrace subset, and name its subset.parquet here.",
        )


def is_found(directory: Path, name: str, spec: SubsetSearch) -> bool:
    """Whether this very search was finished in the experiment's folder.

    Args:
        directory: The experiment's folder.
        name: The subset's name in the grid.
        spec: Its search.
    """
    folder = folder_of(directory, name)
    asked = folder / "search.toml"
    return (folder / SUBSET).is_file() and asked.is_file() and SubsetSearch.from_toml(asked) == spec


def with_found(experiment: Experiment, directory: Path) -> Experiment:
    """The experiment with the file of each subset that was searched for in the place of its search.

    Args:
        experiment: The experiment, whose searches are finished.
        directory: Its folder.
    """
    found = {
        name: str((folder_of(directory, name) / SUBSET).resolve()) if is_search(path) else path
        for name, path in experiment.subsets.items()
    }
    return experiment.model_copy(update={"subsets": found})


def stand_ins(experiment: Experiment, sought: Mapping[str, SubsetSearch]) -> Experiment:
    """The experiment with a random subset in the place of each that is yet to be searched for, as large.

    Args:
        experiment: The experiment.
        sought: Subset -> its search.
    """
    random = {name: f"{RANDOM}{spec.search.sizes[-1]!r}" for name, spec in sought.items()}
    return experiment.model_copy(update={"subsets": experiment.subsets | random})
