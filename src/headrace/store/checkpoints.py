"""Checkpoints of trials: when they are taken, where they lie, and which of them are an ensemble's members."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from headrace.errors import InputError
from headrace.files import write_whole
from headrace.specs.limits import FEW, Checkpoints
from headrace.store.records import Status, folder_name

if TYPE_CHECKING:
    from torch import nn

    from headrace.store.experiments import StoredExperiment
    from headrace.store.records import StudyKey

Share = Annotated[float, Field(gt=0, le=1)]
Shares = Annotated[tuple[Share, ...], Field(strict=False, min_length=1), FEW]
Schedule = Checkpoints | Shares
"""So many, spread over the second half of a training, or the shares of it after which they are taken."""

CHECKPOINTS = "checkpoints"


def shares(schedule: Schedule) -> tuple[float, ...]:
    """The shares of a training after which a checkpoint is taken; of a number, the last is the end."""
    if isinstance(schedule, int):
        return tuple(0.5 + 0.5 * (place + 1) / schedule for place in range(schedule))
    return schedule


def steps(schedule: Schedule, evaluated: Sequence[int]) -> frozenset[int]:
    """When a trial's weights are kept: the first evaluated step at or after each share of the budget.

    Args:
        schedule: The schedule.
        evaluated: The evaluated steps, rising; the last is the budget.
    """
    wanted = [share * evaluated[-1] for share in shares(schedule)]
    return frozenset(evaluated[min(bisect_left(evaluated, least), len(evaluated) - 1)] for least in wanted)


def packed(model: nn.Module) -> bytes:
    """The model's weights as the content of a sealed safetensors file."""
    from headrace import tensors

    return tensors.checkpoint(model.state_dict())


def folder(directory: str | Path, study: str, trial: int) -> Path:
    """Where the checkpoints of a trial lie."""
    return Path(directory) / CHECKPOINTS / folder_name(study) / f"{trial:05d}"


def write(directory: str | Path, study: str, trial: int, step: int, content: bytes) -> None:
    """Keep a trial's weights after `step` updates.

    Raises:
        StorageError: The file cannot be written.
    """
    write_whole(folder(directory, study, trial) / f"step-{step}.safetensors", content)


def members(stored: StoredExperiment, *, best: int | None = None) -> tuple[Path, ...]:
    """The checkpoints that can vote: those of the trials that count as COMPLETE, in the order of the studies.

    Which they are depends on no interruption and on no number of processes.

    Args:
        stored: The experiment, finished.
        best: Only so many trials of each study: those that reached the goal first, then those of smallest
            index; None for all.

    Raises:
        InputError: A study is not decided yet, or there are no checkpoints.
    """
    found = [path for key in stored.experiment.studies() for path in _of_study(stored, key, best)]
    if not found:
        fix = "Run it with [training] checkpoints, for example 5, in a new folder."
        raise InputError("the experiment kept no checkpoints", where=str(stored.directory), fix=fix)
    return tuple(found)


def _of_study(stored: StoredExperiment, key: StudyKey, best: int | None) -> list[Path]:
    judgement = stored.judgement(key)
    if judgement is None:
        raise InputError(
            f"study {key.name} is not decided yet",
            where=str(stored.directory),
            fix="Finish it: headrace run.",
        )
    complete = [trial for trial in judgement.trials if trial.status is Status.COMPLETE]
    complete.sort(key=lambda t: (t.reached is None, t.reached or 0, t.outcome.trial))
    indices = [trial.outcome.trial for trial in complete[:best]]
    folders = [folder(stored.directory, key.name, index) for index in indices]
    # Copies that sync clients leave, such as "step-5 2.safetensors", are no members.
    paths = [path for place in folders for path in place.glob("step-*.safetensors") if _step(path).isdigit()]
    return sorted(paths, key=lambda path: (path.parent, int(_step(path))))


def _step(path: Path) -> str:
    return path.stem.removeprefix("step-")
