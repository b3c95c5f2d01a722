"""What is known of trials and studies, as frozen records that cannot be wrong."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from headrace.errors import DamagedError
from headrace.files import write_whole
from headrace.sealed import sealed, unsealed

Hyperparameters = dict[str, bool | float | int | str]
"""Name -> value, for example `{"learning_rate": 0.1, "policy.beta": 1.5}`; a policy's have the prefix."""


_MOST_BYTES = 2**28

FULL = "full"
"""The subset that is the whole training set."""


class Status(StrEnum):
    """How a trial ended."""

    COMPLETE = "COMPLETE"
    """Reached the goal, or trained to the end of its budget."""
    INFEASIBLE = "INFEASIBLE"
    """Diverged: the loss was not finite, or exploded."""
    STOPPED = "STOPPED"
    """Could no longer change the result."""
    FAILED = "FAILED"
    """Raised an error."""


class Record(BaseModel):
    """A frozen record; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def write_record(path: Path, record: Record, *, indent: int) -> None:
    """Write a record as sealed JSON.

    Raises:
        StorageError: The file cannot be written.
    """
    write_whole(path, sealed((record.model_dump_json(indent=indent) + "\n").encode()))


def read_record(path: Path, kind: type[R], *, fix: str) -> R | None:
    """What `write_record` wrote, or a file from before there were seals; None without a file.

    Raises:
        DamagedError: It is truncated or was altered, or another program wrote it.
    """
    if not path.exists():
        return None
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            raise DamagedError(f"must be a file of at most {_MOST_BYTES:,} bytes", where=str(path), fix=fix)
        return kind.model_validate_json(unsealed(path, older=True))
    except ValidationError as error:
        what = f"is truncated or was altered ({error.errors()[0]['msg']})"
    except ValueError:
        what = "is truncated or was altered"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    raise DamagedError(what, where=str(path), fix=fix)


class Configuration(Record):
    """A dataset configuration: what a run is fed."""

    subset: str = FULL
    policy: str = "shuffle"
    batch_size: int = Field(ge=1)
    workers: int = Field(default=1, ge=1)


class StudyKey(Record):
    """One hyperparameter search: one dataset configuration and one optimiser."""

    optimizer: str
    configuration: Configuration

    @property
    def name(self) -> str:
        """The study's name and its folder; defaults are left out."""
        c = self.configuration
        parts = [self.optimizer, f"batch_size={c.batch_size}"]
        parts += [f"policy={c.policy}"] if c.policy != "shuffle" else []
        parts += [f"subset={c.subset}"] if c.subset != FULL else []
        parts += [f"workers={c.workers}"] if c.workers != 1 else []
        return ",".join(parts)

    @property
    def stream(self) -> str:
        """The name of the random streams: that of the same study with one worker.

        So any number of workers has the same hyperparameters, initialisation and batches.
        """
        return self.model_copy(
            update={"configuration": self.configuration.model_copy(update={"workers": 1})}
        ).name


LONGEST_NAME = 255
"""Bytes of a folder's name, on the file systems that people have."""


def folder_name(study: str) -> str:
    """A study's name as it can be a folder's."""
    return quote(study, safe=",=@+ ", errors="surrogatepass")


class Outcome(Record):
    """When, in steps, a trial reached the goal or diverged, and how far it was trained.

    `reached` and `diverged` are evaluated steps; at most one of them is given up to the point of
    decision. A trial that diverges after it has reached the goal (possible with `stop = "budget"`)
    has both. Of a trial that raised an error, `trained` is the evaluated step that it did not get to.
    """

    trial: int = Field(ge=0)
    reached: int | None = Field(default=None, ge=0)
    diverged: int | None = Field(default=None, ge=0)
    trained: int = Field(ge=0)
    failed: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Outcome:
        for step in (self.reached, self.diverged):
            if step is not None and step > self.trained:
                raise ValueError(
                    f"a trial trained for {self.trained} steps cannot have an event at step {step}"
                )
        if self.reached is not None and self.diverged is not None and self.diverged <= self.reached:
            raise ValueError("a trial that has diverged cannot reach the goal")
        return self


class TrialRecord(Outcome):
    """One training run as it was measured, with all that is needed to run it again.

    `examples_forwarded` counts selection passes, candidates, and whatever the policy trained beforehand;
    `examples_backpropagated` what was trained on, beforehand too. `experiment` and `fingerprint` are the
    digests of its experiment and of the workload that it was trained on; None in records of older versions.
    """

    study: str
    hyperparameters: Hyperparameters
    examples_forwarded: int = Field(ge=0)
    examples_backpropagated: int = Field(ge=0)
    seconds: float = Field(ge=0)
    error: str | None = None
    experiment: str | None = None
    fingerprint: str | None = None
