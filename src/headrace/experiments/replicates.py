"""Replication over seeds: every study of a grid is tuned alike, then its best setting is trained again.

A search alone cannot say that one study is better than another: its best trial is the luckiest of many. So
the setting that a search chose is trained from fresh seeds, and the verdict rests on these trainings alone.
`tuning.csv` and `runs.csv` hold one row per training; whoever is interrupted continues from them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from headrace import random
from headrace.engines._base import Engine, each_done
from headrace.errors import DamagedError
from headrace.files import write_whole
from headrace.specs.experiment import Experiment
from headrace.specs.space import split
from headrace.specs.studies import Hyperparameters, StudyKey
from headrace.trials.replicate import Replicate, Replicated

TUNING = "tuning.csv"
RUNS = "runs.csv"

Tell = Callable[[str, int, int], None]
"""Called with (what is done, trainings done, trainings there are)."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The setting that a search chose.

    Attributes:
        trial: The trial's index.
        validation: Its validation metric at the budget.
        values: Its hyperparameters.
    """

    trial: int
    validation: float
    values: Hyperparameters


def groups(experiment: Experiment) -> dict[str, StudyKey]:
    """The studies by what distinguishes them: the policy alone, for example, if nothing else differs."""
    studies = experiment.studies()
    parts = [_parts(study) for study in studies]
    varies = [name for name in parts[0] if len({part[name] for part in parts}) > 1] or ["policy"]
    return {
        ", ".join(str(part[name]) if len(varies) == 1 else f"{name}={part[name]}" for name in varies): study
        for part, study in zip(parts, studies, strict=True)
    }


def _parts(study: StudyKey) -> dict[str, Any]:
    return {"optimizer": study.optimizer, **study.configuration.model_dump()}


def tune(
    engine: Engine, experiment: Experiment, directory: Path, tell: Tell | None = None
) -> dict[str, Best]:
    """Train `search.trials` settings of each study to the whole budget; the best of each.

    Studies that differ in their policy, subset or workers alone are given the same learning rates.

    Args:
        engine: Open, with benches of the experiment.
        experiment: The experiment.
        directory: Where `tuning.csv` is; trainings in it are not made again.
        tell: Called after each training.

    Returns:
        Group -> the setting with the lowest validation metric at the budget, ties to the first.

    Raises:
        DamagedError: `tuning.csv` is not of this experiment.
        StorageError: The disk is full, or the file cannot be written.
    """
    table, studies = Table(directory / TUNING), groups(experiment)
    there = {
        (row["policy"], int(row["trial"])): float(row["validation"])
        for row in table.rows_with("policy", "trial", "validation")
    }
    text = experiment.model_dump_json()
    asked = [key for trial, group in product(range(experiment.search.trials), studies)
             if (key := (group, trial)) not in there]  # fmt: skip
    jobs = [Replicate(experiment=text, study=studies[group], trial=trial) for group, trial in asked]
    for number, found in _each(engine, jobs, "tuning", tell):
        group, trial = asked[number]
        values = experiment.hyperparameters(studies[group], trial)
        table.add({"policy": group, "trial": trial, "validation": found.validation, "values": values})
        there[group, trial] = found.validation
    best: dict[str, Best] = {}
    for group, study in studies.items():
        trial = min(range(experiment.search.trials), key=lambda trial: (there[group, trial], trial))
        values = experiment.hyperparameters(study, trial)
        best[group] = Best(trial=trial, validation=there[group, trial], values=values)
    return best


def replicate(
    engine: Engine,
    experiment: Experiment,
    best: Mapping[str, Best],
    *,
    seeds: Mapping[str, int],
    directory: Path,
    tell: Tell | None = None,
) -> None:
    """Train the chosen setting of each group from fresh seeds, one row of `runs.csv` each.

    Seeds are the outer loop: if it is interrupted, no group has more than one seed more than another.

    Args:
        engine: Open, with benches of the experiment.
        experiment: The experiment.
        best: Group -> its setting, from `tune`.
        seeds: Group -> from how many seeds.
        directory: Where `runs.csv` is; trainings in it are not made again.
        tell: Called after each training.

    Raises:
        DamagedError: `runs.csv` is another table.
        StorageError: The disk is full, or the file cannot be written.
    """
    table, studies = Table(directory / RUNS), groups(experiment)
    there = {(row["group"], row["seed"]) for row in table.rows_with("group", "seed")}
    asked = [(group, f"{group}-{seed}", seed) for seed, group in product(range(max(seeds.values())), best)
             if seed < seeds[group] and (group, f"{group}-{seed}") not in there]  # fmt: skip
    jobs = [fixed(experiment, studies[group], best[group].values, group, seed) for group, _, seed in asked]
    for number, found in _each(engine, jobs, "fresh seeds", tell):
        group, name, _ = asked[number]
        row = {
            "group": group,
            "seed": name,
            "validation_error": found.validation,
            "test_error": found.test,
            "steps": found.steps,
            "forwarded": found.forwarded,
            "trained": found.trained,
            "reached": int(found.reached),
            "diverged": int(found.diverged),
        }
        table.add(row)


def fixed(
    experiment: Experiment, study: StudyKey, values: Hyperparameters, group: str, seed: int
) -> Replicate:
    """The job that trains these values of one study, and nothing else, from a fresh seed."""
    recipe, settings = split(values)
    content, policy = experiment.model_dump(), study.configuration.policy
    content["seed"] = random.integer_seed(experiment.seed, "fresh", group, seed)
    content["grid"] = {name: (value,) for name, value in _parts(study).items()}
    content["search"] |= {"space": recipe, "policy": {policy: settings} if settings else {}}
    alone = Experiment.from_dict(content)
    return Replicate(experiment=alone.model_dump_json(), study=study, trial=0)


def _each(
    engine: Engine, jobs: Sequence[Replicate], what: str, tell: Tell | None
) -> Iterator[tuple[int, Replicated]]:
    for done, result in enumerate(each_done(engine, jobs), start=1):
        yield result
        if tell:
            tell(what, done, len(jobs))


class Table:
    """A CSV file of rows with the same columns, whole after every row.

    Args:
        path: The file; made with its first row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))

    def rows_with(self, *columns: str) -> list[dict[str, str]]:
        """The rows.

        Raises:
            DamagedError: One lacks one of these columns.
        """
        for number, row in enumerate(self.rows, start=2):
            missing = [column for column in columns if row.get(column) in (None, "")]
            if missing:
                fix = "Use another folder, or delete the file: all is then trained again."
                what = f"has no {' and no '.join(missing)}"
                raise DamagedError(what, where=f"{self._path}, line {number}", fix=fix)
        return self.rows

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row and write the file.

        Raises:
            StorageError: The disk is full, or the file cannot be written.
        """
        self.rows.append({name: str(value) for name, value in row.items()})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(self.rows[0]))
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self._path, text.getvalue().encode())
