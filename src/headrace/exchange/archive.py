"""Import of the published batch-science archive (Shallue et al. 2019), whose layout is `archive_layout`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from headrace.errors import DamagedError, InputError
from headrace.exchange.archive_layout import (
    HYPERPARAMETERS,
    OPTIMIZERS,
    SCALES,
    STUDY_FILE,
    ArchivedStudy,
    DiscreteConfig,
    RangeConfig,
    TrialFile,
    read_archive,
)
from headrace.files import write_whole
from headrace.folders import making
from headrace.records import first_finding
from headrace.specs.experiment import Experiment
from headrace.specs.space import Choices, Range
from headrace.store import experiments as store
from headrace.store.facts import WorkloadFacts
from headrace.store.records import TrialRecord
from headrace.training import recipe

if TYPE_CHECKING:
    import polars as pl

TRAIN_EXAMPLES = {"mnist": 55_000, "fashion_mnist": 55_000}
"""Size of the training split, if the paper gives it; the archive does not."""


def import_archive(
    source: str | Path,
    directory: str | Path,
    *,
    goal: float,
    trials: int = 100,
    train_examples: int | None = None,
) -> store.StoredExperiment:
    """Import one model's studies, with every optimizer and batch size, into a folder.

    Judged by the paper's rule: the first `trials` COMPLETE trials count, INFEASIBLE and INCOMPLETE
    ones do not, whenever they diverged (the archive does not say; step 0 is recorded).

    Args:
        source: The folder `dataset/model` of an archive.
        directory: The folder to make; it appears when all of it is written, or not at all.
        goal: The validation error to get strictly below.
        trials: How many complete trials count, N; if a study has fewer, as many as that study has.
        train_examples: The size of the training set; may be left out for MNIST and Fashion-MNIST.

    Raises:
        InputError: There are no studies, the size of the training set was not given, or the folder exists.
        DamagedError: A file of the archive is missing, truncated or altered.
        StorageError: The folder cannot be written.
    """
    _check_settings(goal, trials, train_examples)
    studies = read_archive(source)
    experiment = _experiment(Path(source), studies, goal=goal, trials=trials)
    examples = train_examples or _train_examples(studies[0])
    with making(directory) as folder:
        store.create(folder, experiment)
        budget = experiment.training.budget.steps or 1
        short = sum(_import_study(study, folder, goal, budget) for study in studies)
        facts = WorkloadFacts(
            name=experiment.workload.name,
            goal=goal,
            train_examples=examples,
            validation_examples=1,
            description=_description(short),
        )
        store.write_facts(folder, facts)
    return store.load(directory)


def _description(short: int) -> str:
    """What the report shows about the import.

    Args:
        short: How many complete trials were measured for fewer steps than the archive says that they took.
    """
    missing = "the sizes of the validation and test sets are not recorded."
    if not short:
        return f"Imported from an archive; {missing}"
    trials = "1 complete trial" if short == 1 else f"{short:,} complete trials"
    return f"Imported from an archive; {missing} The measurements of {trials} end before the last step."


def _check_settings(goal: float, trials: int, train_examples: int | None) -> None:
    if not 0 < goal <= 1:
        raise InputError("must be an error above 0 and at most 1", where="goal", got=goal)
    for name, value in (("trials", trials), ("train_examples", train_examples)):
        if value is not None and not 1 <= value <= 10**12:
            raise InputError("must be a whole number of at least 1", where=name, got=value)


def steps_to_goal(measurements: pl.DataFrame, goal: float, column: str = "validation/error") -> pl.DataFrame:
    """The first step of each trial whose metric is strictly below the goal; trials without one are left out.

    Args:
        measurements: trial, step, and the metrics.
        goal: The goal.
        column: The metric.

    Returns:
        The columns trial and step, by trial.
    """
    import polars as pl

    below = measurements.lazy().filter(pl.col(column) < goal)
    return below.group_by("trial").agg(pl.col("step").min()).sort("trial").collect()


def _train_examples(study: ArchivedStudy) -> int:
    dataset = study.file.dataset
    if dataset not in TRAIN_EXAMPLES:
        raise InputError(
            "the size of this training set is not recorded in an archive",
            where=f"{study.directory / STUDY_FILE}, key dataset",
            got=dataset,
            fix="Give it with --train-examples (train_examples=).",
        )
    return TRAIN_EXAMPLES[dataset]


def _experiment(source: Path, studies: Sequence[ArchivedStudy], *, goal: float, trials: int) -> Experiment:
    """The experiment that an archive's studies make up; it serves analysis and cannot be run."""
    source = source.resolve()
    space: dict[str, Any] = {}
    for study in studies:
        space |= _space(study)
    decays = "decay_fraction" in space
    if not decays:
        space.pop("end_factor", None)
    content = {
        "workload": {"name": f"{source.parent.name}/{source.name}", "goal": goal},
        "grid": {
            "batch_size": sorted({study.key.configuration.batch_size for study in studies}),
            "optimizer": sorted({study.key.optimizer for study in studies}, reverse=True),
        },
        "search": {
            "trials": max(1, min(trials, *(study.complete for study in studies))),
            "max_trials": max(len(study.trials) for study in studies),
            "space": space,
        },
        "training": {
            "schedule": "linear" if decays else "constant",
            "budget": {"steps": max(study.train_steps for study in studies)},
            "stop": "budget",
        },
    }
    return Experiment.from_dict(content, where=str(source))


def _space(study: ArchivedStudy) -> dict[str, Any]:
    """The search space of a study under our names."""
    place = study.directory / STUDY_FILE
    if study.key.optimizer not in recipe.OPTIMIZERS:
        known = f"Known: {', '.join(OPTIMIZERS)}."
        raise InputError(
            "unknown optimizer", where=f"{place}, key optimizer", got=study.file.optimizer, fix=known
        )
    space: dict[str, Any] = {}
    for name, config in study.file.parameter_configs.items():
        where, ours = f"{place}, key parameter_configs.{name}", HYPERPARAMETERS.get(name, name)
        if ours not in recipe.RANGES:
            raise InputError("unknown hyperparameter", where=where, fix=f"Known: {', '.join(recipe.RANGES)}.")
        try:
            space[ours] = _entry(name, config, study).model_dump()
        except ValidationError as error:
            what = first_finding(error).message
            raise DamagedError(what, where=where, fix="Unpack the archive again.") from None
    return space


def _entry(name: str, config: RangeConfig | DiscreteConfig, study: ArchivedStudy) -> Range | Choices:
    if isinstance(config, DiscreteConfig):
        return Choices(choices=tuple(config.feasible_points))
    unit = study.train_steps if name == "learning_rate_decay_steps" else 1
    scale: Any = SCALES[config.scale]
    return Range(low=config.min_value / unit, high=config.max_value / unit, scale=scale)


def _import_study(study: ArchivedStudy, directory: Path, goal: float, budget: int) -> int:
    """Store a study as one part, and its `study.json` next to it for the way back.

    Returns:
        How many complete trials were measured for fewer steps than they took.
    """
    import polars as pl

    measurements = study.measurements()
    table = steps_to_goal(measurements, goal)
    reached = dict(zip(table["trial"].to_list(), table["step"].to_list(), strict=True))
    records = [
        _record(study, number, trial, reached.get(number), budget)
        for number, trial in enumerate(study.trials)
    ]
    store.write_trials(directory, records, measurements, part=0)
    kept = store.study_directory(directory, study.key.name) / STUDY_FILE
    write_whole(kept, (json.dumps(dict(study.content), indent=2) + "\n").encode())
    last = dict(measurements.group_by("trial").agg(pl.col("step").max()).iter_rows())
    return sum(
        trial.status == "COMPLETE" and last.get(number, 0) < trial.steps
        for number, trial in enumerate(study.trials)
    )


def _record(
    study: ArchivedStudy, number: int, trial: TrialFile, reached: int | None, budget: int
) -> TrialRecord:
    complete, infeasible = trial.status == "COMPLETE", trial.status == "INFEASIBLE"
    examples = trial.steps * study.key.configuration.batch_size
    unit = {"learning_rate_decay_steps": study.train_steps}
    return TrialRecord(
        study=study.key.name,
        trial=number,
        hyperparameters={
            HYPERPARAMETERS.get(name, name): value / unit.get(name, 1)
            for name, value in trial.parameters.items()
        },
        reached=reached if complete else None,
        diverged=0 if infeasible else None,
        # A complete trial counts as trained to the largest budget: nothing more will be learnt about it.
        trained=max(budget, reached or 0) if complete else 0,
        failed=not (complete or infeasible),
        error=None if complete or infeasible else "INCOMPLETE in the archive",
        examples_forwarded=examples,
        examples_backpropagated=examples,
        seconds=0.0,
    )
