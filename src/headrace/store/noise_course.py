"""The gradient noise scale over the course of trials, in the folder of their experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from headrace.files import guarded
from headrace.records import Record
from headrace.sealed import read_record, write_record
from headrace.specs.studies import StudyKey

NOISE = "noise_scale.json"


class MatchedScale(Record):
    """A noise scale in the norm of an optimizer's step, see `headrace.training.matched_noise`.

    Attributes:
        norm: "euclidean", "l1", "nuclear" or "preconditioned".
        noise_scale: In examples; None if no signal was seen.
        low: The low end of its interval.
        high: The high end; None if it is open.
    """

    norm: str
    noise_scale: float | None
    low: float
    high: float | None


class NoisePoint(Record):
    """Unbiased estimates at one step, with the covariance of their errors.

    Attributes:
        step: Updates made.
        signal: |G|^2 of the gradient over the training set.
        noise: tr(Sigma) of the gradient of one example.
        covariance: Of these two: the variance of the signal, the covariance, the variance of the noise.
        matched: Noise scales in the norms of optimizers, if they were asked for.
    """

    step: int = Field(ge=0)
    signal: float
    noise: float
    covariance: tuple[float, float, float]
    matched: tuple[MatchedScale, ...] = ()

    @model_serializer(mode="wrap")
    def _without_nothing(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        return {name: value for name, value in content.items() if name != "matched" or value}


class NoiseCourse(Record):
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
    points: tuple[NoisePoint, ...] = Field(min_length=1)


class NoiseCourses(Record):
    """What was measured of an experiment's noise scale."""

    format: Literal[1] = 1
    courses: tuple[NoiseCourse, ...]


def write(directory: str | Path, measured: NoiseCourses) -> Path:
    """Write noise_scale.json whole or not at all.

    Raises:
        StorageError: The disk is full, or the file cannot be written.
    """
    path = Path(directory) / NOISE
    with guarded(directory, make=True):
        write_record(path, measured, indent=1)
    return path


def read(directory: str | Path) -> NoiseCourses | None:
    """What was measured and is stored in a folder; None if nothing is.

    Raises:
        DamagedError: The file was altered.
    """
    fix = "Delete it, or run headrace noise again."
    return read_record(Path(directory) / NOISE, NoiseCourses, fix=fix)
