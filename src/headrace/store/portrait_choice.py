"""Which portraits are made: one study per policy, at one batch size; how far its best trial is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.specs.studies import StudyKey

if TYPE_CHECKING:
    from headrace.store.experiments import StoredExperiment

Best = tuple[int, int]
"""The step at which a study's best trial reached the goal, and the trial."""


@dataclass(frozen=True, kw_only=True)
class PortraitTask:
    """A portrait to be made.

    Attributes:
        study: The study.
        trial: Its best trial.
        goal_step: The step at which that reached the goal.
        steps: How far it is trained.
    """

    study: StudyKey
    trial: int
    goal_step: int
    steps: int


def portrait_tasks(stored: StoredExperiment) -> tuple[PortraitTask, ...]:
    """The portraits of an experiment whose studies are all decided; otherwise, or if none is wanted, none."""
    epochs = stored.experiment.report.portrait_epochs
    if not epochs or stored.facts is None:
        return ()
    keys = stored.experiment.studies()
    judged = {key.name: stored.judgement(key) for key in keys}
    if None in judged.values():
        return ()
    best = {name: found.best[0] for name, found in judged.items() if found and found.best}
    facts = stored.facts
    return tuple(
        portrait_task(
            key,
            best[key.name],
            epochs,
            examples=facts.examples_in(key.configuration.subset),
            budget=stored.budget_steps(key),
        )
        for key in representatives(keys, best)
    )


def representatives(keys: Sequence[StudyKey], best: Mapping[str, Best]) -> list[StudyKey]:
    """One study of each policy that reached the goal, equal in everything else if possible.

    Optimizer, subset, workers and batch size are those with which most policies reached the goal. Of equals
    the first in the experiment's order is taken, and of batch sizes that nearest to the middle of the grid.
    A policy that did not reach it there is left out: portraits of different trainings could not be compared.
    """
    reached = [key for key in keys if key.name in best]
    if not reached:
        return []
    groups: dict[tuple[str, str, int, int], list[StudyKey]] = {}
    for key in reached:
        c = key.configuration
        groups.setdefault((key.optimizer, c.subset, c.workers, c.batch_size), []).append(key)
    sizes = sorted({key.configuration.batch_size for key in keys})
    middle = (len(sizes) - 1) / 2
    families = list(dict.fromkeys(group[:3] for group in groups))

    def rank(group: tuple[str, str, int, int]) -> tuple[float, ...]:
        place = sizes.index(group[3])
        return (-len(groups[group]), families.index(group[:3]), abs(place - middle), place)

    return groups[min(groups, key=rank)]


def portrait_task(key: StudyKey, best: Best, epochs: float, *, examples: int, budget: int) -> PortraitTask:
    """The portrait of a study's best trial: to the goal, and over that many epochs if the budget allows."""
    goal_step, trial = best
    passes = math.ceil(epochs * examples / key.configuration.batch_size)
    steps = max(1, min(budget, max(goal_step, passes)))
    return PortraitTask(study=key, trial=trial, goal_step=goal_step, steps=steps)
