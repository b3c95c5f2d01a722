"""The layout of the published batch-science archive (Shallue et al. 2019), checked as its files are read.

    dataset/model/optimizer/batch_size/study.json
    dataset/model/optimizer/batch_size/trial_id/{metadata.json, measurements.csv}

The keys are those of the archive's own description (google-research, `batch_science/README.md`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace.errors import DamagedError, InputError
from headrace.records import first_finding
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.strict_json import unrepeated

if TYPE_CHECKING:
    import polars as pl

OPTIMIZERS = {"sgd": "sgd", "momentum": "momentum", "nesterov_momentum": "nesterov"}
"""The archive's name -> ours."""

HYPERPARAMETERS = {"end_learning_rate_factor": "end_factor", "learning_rate_decay_steps": "decay_fraction"}
"""The archive's name -> ours, if they differ. Decay steps are a fraction of the study's training steps."""

SCALES = {"LOG_SCALE": "log", "LINEAR_SCALE": "linear", "REVERSE_LOG_SCALE": "one-minus-log", "": "linear"}
"""The archive's scale -> ours."""

COLUMNS = {
    f"{theirs}/{metric}": f"{ours}/{name}"
    for theirs, ours in (("train", "train"), ("val", "validation"), ("test", "test"))
    for metric, name in (("cross_entropy_error", "loss"), ("classification_error", "error"))
}
"""The archive's column of measurements -> ours."""

JUDGED = "val/classification_error"
"""The column that the goal is judged by."""

STUDY_FILE, TRIAL_FILE, TABLE_FILE = "study.json", "metadata.json", "measurements.csv"
MOST_STEPS, MOST_BATCH = 10**10, 10**8
_MOST_BYTES = {STUDY_FILE: 2**20, TRIAL_FILE: 2**16, TABLE_FILE: 2**26}
_MOST_OF_A_STUDY = 2**29
_UNPACK = "Unpack the archive again."

_NEEDED = "the folder DATASET/MODEL of an archive"
_OTHER_LEVELS = (
    ("the folder of a trial", TRIAL_FILE, 3),
    ("the folder of a batch size", STUDY_FILE, 2),
    ("the folder of an optimizer", f"*/{STUDY_FILE}", 2),
    ("the folder of a data set", f"*/*/*/{STUDY_FILE}", 2),
    ("a whole archive", f"*/*/*/*/{STUDY_FILE}", 2),
)
"""Each level, a file that shows it, and how many folders above that file's own the model's folder is."""

Number = Annotated[float, Field(ge=-1e60, le=1e60, allow_inf_nan=False)]
Model = TypeVar("Model", bound="_File")


class _File(BaseModel):
    """A file of the archive; keys that are not read may be there."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class RangeConfig(_File):
    """A hyperparameter between two numbers."""

    type: Literal["DOUBLE", "INTEGER"]
    min_value: Number
    max_value: Number
    scale: Literal["LOG_SCALE", "LINEAR_SCALE", "REVERSE_LOG_SCALE", ""] = ""


class DiscreteConfig(_File):
    """A hyperparameter that is one of some numbers."""

    type: Literal["DISCRETE"]
    feasible_points: list[Number] = Field(min_length=1, max_length=1000)


class StudyFile(_File):
    """`study.json`."""

    batch_size: int = Field(ge=1, le=MOST_BATCH)
    dataset: str = Field(min_length=1, max_length=200)
    optimizer: str = Field(min_length=1, max_length=200)
    parameter_configs: dict[str, Annotated[RangeConfig | DiscreteConfig, Field(discriminator="type")]] = (
        Field(max_length=100)
    )
    train_steps: int = Field(ge=0, le=MOST_STEPS)


class TrialFile(_File):
    """`metadata.json`."""

    trial_id: int = Field(ge=0, le=10**9)
    status: Literal["COMPLETE", "INFEASIBLE", "INCOMPLETE"]
    steps: int = Field(ge=0, le=MOST_STEPS)
    parameters: dict[str, Number] = Field(max_length=100)


@dataclass(frozen=True, kw_only=True)
class ArchivedStudy:
    """One study of an archive, as it is stored there.

    Attributes:
        directory: Its folder.
        content: `study.json` with every key.
        file: What of it is read.
        trials: Every trial's `metadata.json`, by trial id.
    """

    directory: Path
    content: Mapping[str, Any]
    file: StudyFile
    trials: Sequence[TrialFile]

    @property
    def key(self) -> StudyKey:
        """Our name for it."""
        configuration = Configuration(batch_size=self.file.batch_size)
        optimizer = OPTIMIZERS.get(self.file.optimizer, self.file.optimizer)
        return StudyKey(optimizer=optimizer, configuration=configuration)

    @property
    def train_steps(self) -> int:
        """The study's training steps; if the archive gives none (a time budget), the most of any trial."""
        return self.file.train_steps or max(1, *(trial.steps for trial in self.trials))

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        return sum(trial.status == "COMPLETE" for trial in self.trials)

    def measurements(self) -> pl.DataFrame:
        """All measurements: trial (the index, from 0), step, and the metrics under our names.

        Raises:
            DamagedError: A table is missing, not a table of numbers, or its steps do not rise.
        """
        import polars as pl

        frames: list[pl.DataFrame] = []
        size = 0
        for number, trial in enumerate(self.trials):
            path = self.directory / str(trial.trial_id) / TABLE_FILE
            content = _content(path)
            size += len(content)
            if size > _MOST_OF_A_STUDY:
                raise _damaged(self.directory, f"has more than {_MOST_OF_A_STUDY:,} bytes of measurements")
            frame = _table(path, content, complete=trial.status == "COMPLETE")
            frames.append(frame.select(pl.lit(number, pl.Int64).alias("trial"), pl.all()))
        frame = pl.concat(frames, how="diagonal")
        there = {name: ours for name, ours in COLUMNS.items() if name in frame.columns}
        return frame.select("trial", "step", *there).rename(there)


def read_archive(source: str | Path) -> list[ArchivedStudy]:
    """Every study below a folder `dataset/model`, without the measurements.

    Raises:
        InputError: There are no studies.
        DamagedError: A file is missing, cannot be read, or says what its folder does not.
    """
    source = Path(source)
    _check_source(source)
    studies = [
        _study(folder)
        for optimizer in _folders(source)
        for folder in _folders(optimizer)
        if _is_number(folder) or (folder / STUDY_FILE).exists()
    ]
    if not studies:
        raise InputError("there are no studies here", where=str(source), fix=f"Give {_NEEDED}.")
    first: dict[str, Path] = {}
    for study in studies:
        if (before := first.setdefault(study.key.name, study.directory)) != study.directory:
            raise _damaged(study.directory, f"is the same study as {before}")
        for key in ("dataset", "model"):
            if (there := study.content.get(key)) != (here := studies[0].content.get(key)):
                what = f"is of another {key} than {studies[0].directory}, {here!r}"
                raise DamagedError(
                    what, where=f"{study.directory / STUDY_FILE}, key {key}", got=there, fix=_UNPACK
                )
    return studies


def _check_source(source: Path) -> None:
    if source.is_file():
        fix = f"Unpack it first (tar -xf {source.name}), then give its folder dataset/model."
        raise InputError("is a file, but a folder is needed", where=str(source), fix=fix)
    if not source.is_dir():
        raise InputError("the folder does not exist", where=str(source), fix="Check the path.")
    if next(source.glob("*/*/" + STUDY_FILE), None) is None:
        _check_level(source.resolve(), str(source))


def _check_level(source: Path, where: str) -> None:
    """Refuse the folder of another level of an archive, and name it and the one that is needed."""
    for level, pattern, up in _OTHER_LEVELS:
        found = next(iter(sorted(source.glob(pattern))), None)
        if found is not None:
            another = ", or the folder of another model" if pattern.startswith("*/*/") else ""
            raise InputError(
                f"this is {level}, and {_NEEDED} is needed",
                where=where,
                fix=f"Give {found.parents[up]}{another}.",
            )


def _study(folder: Path) -> ArchivedStudy:
    file, content = read_file(folder / STUDY_FILE, StudyFile)
    if folder.name != str(file.batch_size):
        raise _damaged(folder / STUDY_FILE, f"is of batch size {file.batch_size}, in a folder {folder.name}")
    trials = [
        _trial(trial) for trial in _folders(folder) if _is_number(trial) or (trial / TRIAL_FILE).exists()
    ]
    if not trials:
        raise _damaged(folder, "has no trials")
    for trial in trials:
        if unknown := sorted(trial.parameters.keys() - file.parameter_configs.keys()):
            path = folder / str(trial.trial_id) / TRIAL_FILE
            raise DamagedError(
                "is not a parameter of its study.json",
                where=f"{path}, key parameters",
                got=unknown[0],
                fix=_UNPACK,
            )
    return ArchivedStudy(
        directory=folder, content=content, file=file, trials=sorted(trials, key=lambda trial: trial.trial_id)
    )


def _trial(folder: Path) -> TrialFile:
    trial, _ = read_file(folder / TRIAL_FILE, TrialFile)
    if folder.name != str(trial.trial_id):
        raise _damaged(folder / TRIAL_FILE, f"is of trial {trial.trial_id}, in a folder {folder.name}")
    return trial


def _folders(folder: Path) -> Iterator[Path]:
    """The folders in a folder, by name; hidden ones are those of file managers."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())
    except OSError as error:
        raise _damaged(folder, f"cannot be read ({error.strerror})") from None
    for path in found:
        _check_no_link(path)
        yield path


def _is_number(folder: Path) -> bool:
    return folder.name.isascii() and folder.name.isdigit()


def _check_no_link(path: Path) -> None:
    if path.is_symlink():
        raise DamagedError(
            "is a link, but the archive holds no links",
            where=str(path),
            fix="Replace it by what it links to.",
        )


def _content(path: Path) -> bytes:
    _check_no_link(path)
    most = _MOST_BYTES[path.name]
    try:
        if not path.is_file():
            raise _damaged(path, "is not a file" if path.exists() else "is missing")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from None
    if len(content) > most:
        raise _damaged(path, f"has more than {most:,} bytes")
    return content


def _damaged(path: Path, what: str, *, place: str = "") -> DamagedError:
    return DamagedError(what, where=f"{path}{place}", fix=_UNPACK)


def read_file(path: Path, model: type[Model]) -> tuple[Model, dict[str, Any]]:
    """A JSON file of the archive as its model, and all of it.

    Raises:
        DamagedError: It is missing, too large, not JSON, or lacks what the model needs.
    """
    content = _content(path)
    try:
        raw = json.loads(content, object_pairs_hook=unrepeated)
        return model.model_validate(raw), raw
    except ValidationError as error:
        found = first_finding(error)
        where = f"{path}, key {found.key}" if found.key else str(path)
        raise DamagedError(found.message, where=where, got=found.got, fix=_UNPACK) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"cannot be read as JSON ({error})") from None


def _table(path: Path, content: bytes, *, complete: bool) -> pl.DataFrame:
    """One trial's measurements: step, and the metrics under the archive's names."""
    import polars as pl

    try:
        lines = content.decode("ascii").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        line = 1 + content[: error.start].count(b"\n")
        raise _damaged(path, "is not a table of numbers", place=f", line {line}") from None
    if lines.pop() != "":
        raise _damaged(
            path, "does not end with a line's end: it is truncated", place=f", line {len(lines) + 1}"
        )
    header, rows = _split(path, lines)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    metrics = [name for name in COLUMNS if name in columns]
    frame = pl.DataFrame(
        {
            "step": _steps(path, columns["step"]),
            **{name: _metric(path, columns[name], name) for name in metrics},
        },
        schema={"step": pl.Int64, **dict.fromkeys(metrics, pl.Float64)},
    )
    if complete:
        _check_judged(path, frame)
    return frame


def _split(path: Path, lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the cells of each row."""
    header, *rows = [line.split(",") for line in lines] or [[""]]
    if "step" not in header or len(set(header)) < len(header):
        raise _damaged(path, "must name the column step, and each column once", place=", line 1")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise _damaged(path, f"has {len(row)} cells for {len(header)} columns", place=f", line {line}")
    return header, rows


def _steps(path: Path, cells: Sequence[str]) -> list[int]:
    steps: list[int] = []
    for line, cell in enumerate(cells, start=2):
        whole = cell.removesuffix(".0")
        if not (whole.isdigit() and len(whole) <= 11 and int(whole) <= MOST_STEPS):
            what = f"must be a whole number of steps from 0 to {MOST_STEPS:,}"
            raise DamagedError(what, where=f"{path}, line {line}, column step", got=cell, fix=_UNPACK)
        if steps and int(whole) <= steps[-1]:
            what = f"must be after step {steps[-1]} of the line before"
            raise DamagedError(what, where=f"{path}, line {line}, column step", got=cell, fix=_UNPACK)
        steps.append(int(whole))
    return steps


def _metric(path: Path, cells: Sequence[str], name: str) -> pl.Series:
    """The values of a metric: null where it was not measured, NaN and infinity where the trial diverged."""
    import polars as pl

    text = pl.Series(name, cells, dtype=pl.String)
    values = text.cast(pl.Float64, strict=False)
    most = 1.0 if name.endswith("classification_error") else float("inf")
    wrong = (values.is_null() & (text != "")) | (values < 0) | (values.is_not_nan() & (values > most))
    if wrong.any():
        line = int(wrong.arg_max() or 0)
        bound = f"from 0 to {most:g}, " if most == 1 else "of at least 0, "
        raise DamagedError(
            f"must be a number {bound}or empty",
            where=f"{path}, line {line + 2}, column {name}",
            got=cells[line],
            fix=_UNPACK,
        )
    return values


def _check_judged(path: Path, frame: pl.DataFrame) -> None:
    """A trial that is COMPLETE has validation errors, all of them numbers."""
    if JUDGED not in frame.columns:
        raise InputError(
            f"a complete trial has no column {JUDGED}, by which it is judged",
            where=f"{path}, line 1",
            fix="Import a workload of classification.",
        )
    errors = frame[JUDGED].drop_nulls()
    if errors.is_empty() or errors.is_nan().any():
        what = "no value" if errors.is_empty() else "a value that is not a number"
        raise _damaged(path, f"a complete trial has {what} in the column {JUDGED}")
