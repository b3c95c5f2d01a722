"""The progress of a run while it runs: a small file in its folder, for `headrace status`."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.files import StorageError, remove, write_whole
from headrace.store import lock, replicates
from headrace.store.experiments import StoredExperiment, load
from headrace.store.progress import State, StudyState, study_state

NAME = "progress.json"
INTERVAL_SECONDS = 5.0


class LiveFile:
    """Keeps `progress.json` in a folder while the block lasts; calling it notes a state.

    Nothing depends on the file: if it cannot be written, the run continues.

    Args:
        directory: The folder of the run.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._next = 0.0
        self._written = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A folder that was refused may belong to another run, and its file with it.
        if self._written:
            with suppress(StorageError):
                remove(self._path)

    def __call__(self, state: State) -> None:
        """Write the state, unless that was done a moment ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL_SECONDS
        content = replace(state, process=str(os.getpid())).to_dict()
        with suppress(StorageError):
            write_whole(self._path, json.dumps(content).encode())
            self._written = True


def read(directory: Path, process: str) -> State | None:
    """The last state that `process` wrote, or None if it has written none yet.

    Args:
        directory: The folder of the run.
        process: The process that holds the folder, see `lock.holder`; other processes' states are ignored.
    """
    try:
        content = json.loads((directory / NAME).read_bytes())
        if content["process"] != process.partition(" ")[0]:
            return None
        return State(
            studies=tuple(StudyState(**study) for study in content["studies"]),
            share=content["share"],
            seconds=content["seconds"],
            seconds_left=content["seconds_left"],
            process=process,
            replicates=(content["replicates"]["done"], content["replicates"]["of"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def progress_of(directory: str | Path) -> State:
    """How far the experiment in a folder is: by what is stored, and by the progress file of a run.

    Raises:
        InputError: There is no experiment in the folder.
        DamagedError: A part is truncated or was altered.
    """
    stored = load(directory)
    process = lock.holder(Path(directory))
    running = None if process is None else read(Path(directory), process)
    return running or replace(stored_state(stored), process=process)


def stored_state(stored: StoredExperiment) -> State:
    """How far an experiment is by its stored trials; a run stores those that are settled or take long."""
    states = [
        study_state(
            study.name,
            {record.trial: record for record in stored.study_records(study.name)},
            asked=stored.experiment.search.trials,
            finished=stored.facts is not None and stored.judgement(study) is not None,
        )
        for study in (stored.trained() if stored.facts else stored.studies())
    ]
    fresh = _replicates(stored, sum(state.best_steps is not None for state in states))
    done = sum(state.finished for state in states) + fresh[0]
    share = done / (len(states) + fresh[1])
    return State(studies=tuple(states), share=share, replicates=fresh)


def _replicates(stored: StoredExperiment, able: int) -> tuple[int, int]:
    """The fresh runs that are stored, of how many; pilots are not counted."""
    asked = stored.experiment.replicates
    if asked is None or stored.share is not None:
        return 0, 0
    there = replicates.read(stored)
    if there.settings is None:
        return 0, asked.seeds * able
    chosen = [setting.study for setting in there.settings.studies if setting.trial is not None]
    runs = (run for study in chosen for run in there.of(study) if run.seed < asked.seeds)
    return sum(run.ended(asked.until) for run in runs), asked.seeds * len(chosen)
