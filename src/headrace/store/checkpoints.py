"""Checkpoints of trials: where they are stored, and which of them are an ensemble's members."""

from __future__ import annotations

from pathlib import Path

from headrace.errors import InputError
from headrace.files import write_whole
from headrace.specs.studies import StudyKey, folder_name
from headrace.store.experiments import StoredExperiment
from headrace.store.records import Status

CHECKPOINTS = "checkpoints"


def folder(directory: str | Path, study: str, trial: int) -> Path:
    """Where the checkpoints of a trial are stored."""
    return Path(directory) / CHECKPOINTS / folder_name(study) / f"{trial:05d}"


def write(directory: str | Path, study: str, trial: int, step: int, content: bytes) -> None:
    """Keep a trial's weights after `step` updates.

    Raises:
        StorageError: The file cannot be written.
    """
    write_whole(folder(directory, study, trial) / f"step-{step}.safetensors", content)


def members(stored: StoredExperiment, *, best: int | None = None) -> tuple[Path, ...]:
    """The checkpoints that can vote: those of the trials that count as COMPLETE, in the order of the studies.

    The choice does not depend on interruptions or on the number of processes.

    Args:
        stored: The experiment, finished.
        best: At most this many trials of each study: those that reached the goal first, then those of
            smallest index; None for all.

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
    # Copies that sync clients leave, such as "step-5 2.safetensors", are not members.
    paths = [path for place in folders for path in place.glob("step-*.safetensors") if _step(path).isdigit()]
    return sorted(paths, key=lambda path: (path.parent, int(_step(path))))


def _step(path: Path) -> str:
    return path.stem.removeprefix("step-")
