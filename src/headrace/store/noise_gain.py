"""The gradient noise under policies' own sampling, in the folder of their experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from headrace.files import guarded
from headrace.records import Record
from headrace.sealed import read_record, write_record
from headrace.specs.studies import StudyKey

GAIN = "noise_gain.json"


class GainPoint(Record):
    """Unbiased estimates at one step, with the covariance of their errors.

    Attributes:
        step: Updates made.
        signal: |G|^2 of the gradient over the training set.
        noise: tr(Sigma) of the gradient of one example, drawn uniformly.
        added: tr(Sigma_p) of one example as the policy draws and weighs it, less tr(Sigma).
        covariance: Of these three: variances and covariances, row by row.
    """

    step: int = Field(ge=0)
    signal: float
    noise: float
    added: float
    covariance: tuple[float, float, float, float, float, float, float, float, float]


class GainCourse(Record):
    """One trial's course, from its first to its last measured step.

    Attributes:
        study: Which study.
        trial: The trial's index.
        examples: From how many examples' gradients each point was estimated.
        points: By step.
    """

    study: StudyKey
    trial: int = Field(ge=0)
    examples: int = Field(ge=3)
    points: tuple[GainPoint, ...] = Field(min_length=1)


class GainCourses(Record):
    """What was measured of an experiment's policies.

    Attributes:
        experiment: The digest of the experiment.
        courses: One per study.
    """

    format: Literal[1] = 1
    experiment: str
    courses: tuple[GainCourse, ...]


def write(directory: str | Path, measured: GainCourses) -> Path:
    """Write noise_gain.json whole or not at all.

    Raises:
        StorageError: The disk is full, or the file cannot be written.
    """
    path = Path(directory) / GAIN
    with guarded(directory, make=True):
        write_record(path, measured, indent=1)
    return path


def read(directory: str | Path) -> GainCourses | None:
    """What was measured and is stored in a folder; None if nothing is.

    Raises:
        DamagedError: The file was altered.
    """
    fix = "Delete it, or run headrace noise DIR --gain again."
    return read_record(Path(directory) / GAIN, GainCourses, fix=fix)
