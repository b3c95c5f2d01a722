"""The layout of the published batch-science archive (Shallue et al. 2019): import and export.

    dataset/model/optimizer/batch_size/study.json
    dataset/model/optimizer/batch_size/trial_id/{metadata.json, measurements.csv}

The keys are those of the archive's own description (google-research, `batch_science/README.md`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import DamagedError, InputError
from headrace.experiments import lock, store
from headrace.experiments.experiment import Experiment
from headrace.experiments.facts import WorkloadFacts
from headrace.experiments.records import Configuration, StudyKey, TrialRecord

if TYPE_CHECKING:
    import polars as pl

OPTIMIZERS = {"sgd": "sgd", "momentum": "momentum", "nesterov_momentum": "nesterov"}
"""The archive's name -> ours."""

HYPERPARAMETERS = {"end_learning_rate_factor": "end_factor", "learning_rate_decay_steps": "decay_fraction"}
"""The archive's name -> ours, where they differ. Decay steps are a fraction of the study's training steps."""

SCALES = {"LOG_SCALE": "log", "LINEAR_SCALE": "linear", "REVERSE_LOG_SCALE": "one-minus-log", "": "linear"}
"""The archive's scale -> ours."""

COLUMNS = {
    f"{theirs}/{metric}": f"{ours}/{name}"
    for theirs, ours in (("train", "train"), ("val", "validation"), ("test", "test"))
    for metric, name in (("cross_entropy_error", "loss"), ("classification_error", "error"))
}
"""The archive's column of measurements -> ours."""

TRAIN_EXAMPLES = {"mnist": 55_000, "fashion_mnist": 55_000}
"""Size of the training split, where the paper gives it; the archive does not."""


@dataclass(frozen=True, kw_only=True)
class ArchivedStudy:
    """One study of an archive, as it lies there.

    Attributes:
        directory: Its folder.
        content: `study.json`.
        trials: Every trial's `metadata.json`, by trial id.
    """

    directory: Path
    content: Mapping[str, Any]
    trials: Sequence[Mapping[str, Any]]

    @property
    def key(self) -> StudyKey:
        """Our name for it."""
        optimizer = str(self.content["optimizer"])
        configuration = Configuration(batch_size=int(self.content["batch_size"]))
        return StudyKey(optimizer=OPTIMIZERS.get(optimizer, optimizer), configuration=configuration)

    @property
    def train_steps(self) -> int:
        """The study's training steps; where the archive gives none (a time budget), the most of any trial."""
        longest = max((int(trial["steps"]) for trial in self.trials), default=1)
        return int(self.content["train_steps"]) or longest

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        return sum(trial["status"] == "COMPLETE" for trial in self.trials)

    def measurements(self) -> pl.DataFrame:
        """All measurements: trial (the index, from 0), step, and the metrics under our names."""
        import polars as pl

        paths = [self.directory / str(trial["trial_id"]) / "measurements.csv" for trial in self.trials]
        index = pl.DataFrame({"path": [str(path) for path in paths], "trial": range(len(paths))})
        with_names = pl.scan_csv(
            paths, include_file_paths="path", schema_overrides=dict.fromkeys(COLUMNS, pl.Float64)
        )
        frame = with_names.collect().join(index.with_columns(pl.col("trial").cast(pl.Int64)), on="path")
        there = {name: ours for name, ours in COLUMNS.items() if name in frame.columns}
        return (
            frame.select("trial", pl.col("step").cast(pl.Int64), *there).rename(there).sort("trial", "step")
        )


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
        directory: The folder to make.
        goal: The validation error to get strictly below.
        trials: How many complete trials count, N; where a study has fewer, as many as that study has.
        train_examples: The size of the training set; may be left out for MNIST and Fashion-MNIST.

    Raises:
        InputError: There are no studies, or the size of the training set is not known.
        DamagedError: A file of the archive cannot be read.
    """
    studies = read_archive(source)
    experiment = _experiment(Path(source), studies, goal=goal, trials=trials)
    facts = WorkloadFacts(
        name=experiment.workload.name,
        goal=goal,
        train_examples=train_examples or _train_examples(str(studies[0].content["dataset"])),
        validation_examples=1,
        description="Imported from an archive; the sizes of the validation and test sets are not recorded.",
    )
    store.create(directory, experiment)
    with lock.exclusive(Path(directory)):
        store.write_facts(directory, facts)
        for study in studies:
            _import_study(study, Path(directory), goal, experiment.training.budget.steps or 1)
    return store.load(directory)


def read_archive(source: str | Path) -> list[ArchivedStudy]:
    """Every study below a folder `dataset/model`, without the measurements.

    Raises:
        InputError: There are no studies.
        DamagedError: A file cannot be read.
    """
    paths = sorted(Path(source).glob("*/*/study.json"))
    if not paths:
        raise InputError(
            "there are no studies here", where=str(source), fix="Give the folder dataset/model of an archive."
        )
    return [
        ArchivedStudy(
            directory=path.parent,
            content=_read_json(path),
            trials=sorted(
                (_read_json(file) for file in path.parent.glob("*/metadata.json")),
                key=lambda trial: int(trial["trial_id"]),
            ),
        )
        for path in paths
    ]


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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedError(f"cannot be read ({error})", where=str(path), fix="Unpack it again.") from None


def _train_examples(dataset: str) -> int:
    if dataset not in TRAIN_EXAMPLES:
        raise InputError(
            "the size of the training set is not recorded in an archive",
            where="train_examples",
            got=dataset,
            fix="Give it.",
        )
    return TRAIN_EXAMPLES[dataset]


def _experiment(source: Path, studies: Sequence[ArchivedStudy], *, goal: float, trials: int) -> Experiment:
    """The experiment that an archive's studies make up; it serves analysis and cannot be run."""
    space: dict[str, Any] = {}
    for study in studies:
        space |= {HYPERPARAMETERS.get(k, k): _entry(k, v, study) for k, v in _configs(study).items()}
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


def _configs(study: ArchivedStudy) -> Mapping[str, Mapping[str, Any]]:
    return study.content["parameter_configs"]


def _entry(name: str, config: Mapping[str, Any], study: ArchivedStudy) -> dict[str, Any]:
    if config["type"] == "DISCRETE":
        return {"choices": [float(value) for value in config["feasible_points"]]}
    unit = study.train_steps if name == "learning_rate_decay_steps" else 1
    low, high = float(config["min_value"]) / unit, float(config["max_value"]) / unit
    return {"low": low, "high": high, "scale": SCALES[config.get("scale", "")]}


def _import_study(study: ArchivedStudy, directory: Path, goal: float, budget: int) -> None:
    """Store a study as one part, and its `study.json` beside it for the way back."""
    measurements = study.measurements()
    table = steps_to_goal(measurements, goal)
    reached = dict(zip(table["trial"].to_list(), table["step"].to_list(), strict=True))
    records = [
        _record(study, number, trial, reached.get(number), budget)
        for number, trial in enumerate(study.trials)
    ]
    if records:
        store.write_trials(directory, records, measurements, part=0)
        kept = store.study_directory(directory, study.key.name) / STUDY_FILE
        store.write_whole(kept, (json.dumps(dict(study.content), indent=2) + "\n").encode())


STUDY_FILE = "study.json"


def _record(
    study: ArchivedStudy, number: int, trial: Mapping[str, Any], reached: int | None, budget: int
) -> TrialRecord:
    complete, infeasible = trial["status"] == "COMPLETE", trial["status"] == "INFEASIBLE"
    examples = int(trial["steps"]) * study.key.configuration.batch_size
    unit = {"learning_rate_decay_steps": study.train_steps}
    parameters: Mapping[str, float] = trial["parameters"]
    return TrialRecord(
        study=study.key.name,
        trial=number,
        hyperparameters={
            HYPERPARAMETERS.get(name, name): value / unit.get(name, 1) for name, value in parameters.items()
        },
        reached=reached if complete else None,
        diverged=0 if infeasible else None,
        # A complete trial is known to the end of the largest budget: nothing more will be learnt of it.
        trained=max(budget, reached or 0) if complete else 0,
        failed=not (complete or infeasible),
        error=None if complete or infeasible else "INCOMPLETE in the archive",
        examples_forwarded=examples,
        examples_backpropagated=examples,
        seconds=0.0,
    )
