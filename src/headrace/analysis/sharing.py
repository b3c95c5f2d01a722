"""Studies that share the trials of another, because both are the same function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.analysis import words
from headrace.analysis.replicates import Replicated
from headrace.analysis.studies import Study

if TYPE_CHECKING:
    from headrace.store.experiments import StoredExperiment


def own(stored: StoredExperiment, studies: Sequence[Study]) -> list[Study]:
    """The studies that were trained themselves."""
    return [study for study in studies if study.key.name not in stored.shared]


def trained(replicated: Mapping[str, Replicated]) -> dict[str, Replicated]:
    """The fresh runs of studies that were trained themselves."""
    return {name: one for name, one in replicated.items() if one.own}


def shared_with(study: Study, stored: StoredExperiment) -> dict[str, Any]:
    """Whose trials a study's are, for results.json; no key if they are its own."""
    source = stored.shared.get(study.key.name)
    return {} if source is None else {"shared_with": source}


def say_shared(stored: StoredExperiment) -> list[str]:
    """That studies were trained once, and in what they are equal; nothing without any."""
    shared = [study for study in stored.studies() if study.name in stored.shared]
    if not shared:
        return []
    workers = sorted({study.configuration.workers for study in shared})
    return [
        f"{len(shared)} of {len(stored.studies())} studies were not trained apart: with "
        f"{words.listed([words.number(number) for number in workers])} workers they are the same function as "
        "with fewer, exactly in all that is drawn, and to rounding in the parameters. Their results are "
        "those of the other number. [grid] repeat_equal = true trains them all."
    ]
