"""Replicates in a store: which setting of each study was chosen, and what came of it from fresh seeds.

replicates/settings.json                 the setting of each study, with a checksum
replicates/<study>/NNNNN-SSSSS.json      trial NNNNN's setting, trained again from seed SSSSS, with a checksum
replicates/<study>/NNNNN-pilot-SSSSS.json   the same to choose between two settings; no verdict uses it

No time is measured, so that the files are the same bytes however often the work was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from headrace.errors import DamagedError
from headrace.records import Record
from headrace.sealed import read_record, write_record
from headrace.specs.studies import Hyperparameters, folder_name
from headrace.store.experiments import StoredExperiment
from headrace.store.records import TrialRecord

R = TypeVar("R", bound=Record)

REPLICATES, SETTINGS = "replicates", "settings.json"


class Replicate(Record):
    """A setting of a study, trained from a fresh seed.

    Runs of one seed begin alike in all studies: one initialisation, and one order if their policies allow it.

    Attributes:
        study: Its name.
        trial: The trial of the search that had these hyperparameters.
        seed: The seed's number, from 0; those of pilots are others.
        pilot: Whether it was trained to choose between settings.
        hyperparameters: The setting.
        budget: Its step budget.
        reached: The first evaluated step below the goal; None if it was not reached within `trained` steps.
        diverged: The evaluated step at which the loss was found to have diverged, or None.
        trained: The last evaluated step.
        examples_forwarded: Examples forwarded until the goal, selection passes and preparation included;
            until the end if the goal was not reached.
        examples_backpropagated: Examples trained on until then.
        validation: The validation metric at the last step; None if it diverged.
        test: The test metric there; None if it diverged, or without a test split.
        error: What the user's code raised; None if nothing.
        experiment: The digest of the experiment, as in a trial's record.
        fingerprint: The digest of the workload, as in a trial's record.
    """

    study: str
    trial: int = Field(ge=0)
    seed: int = Field(ge=0)
    pilot: bool = False
    hyperparameters: Hyperparameters
    budget: int = Field(ge=1)
    reached: int | None = Field(default=None, ge=0)
    diverged: int | None = Field(default=None, ge=0)
    trained: int = Field(ge=0)
    examples_forwarded: int = Field(ge=0)
    examples_backpropagated: int = Field(ge=0)
    validation: float | None = None
    test: float | None = None
    error: str | None = None
    experiment: str | None = None
    fingerprint: str | None = None

    @property
    def key(self) -> Key:
        """Which run it is."""
        return self.study, self.trial, self.seed, self.pilot

    def ended(self, until: str) -> bool:
        """Whether it was trained as far as is asked for, to the "goal" or to the "budget"."""
        if self.error is not None:
            return False
        at_goal = until == "goal" and self.reached is not None
        return at_goal or self.diverged is not None or self.trained == self.budget


Key = tuple[str, int, int, bool]
"""Study, trial, seed, whether it is a pilot."""


class StudySetting(Record):
    """The setting of one study.

    Attributes:
        study: Its name.
        own: The trial that its own search speaks for; None if no trial reached the goal.
        common: The trial that the searches of all studies of one optimizer and batch size speak for.
        trial: The trial whose setting is replicated; None if there is none.
        compared: Whether the two were trained from pilot seeds.
    """

    study: str
    own: int | None
    common: int | None
    trial: int | None
    compared: bool = False

    @property
    def shared(self) -> bool:
        """Whether it is the common setting."""
        return self.trial is not None and self.trial == self.common


class Settings(Record):
    """The settings of all studies, and the experiment of whose trials they were chosen.

    Attributes:
        experiment: Its digest.
        studies: One for each study.
    """

    experiment: str
    studies: tuple[StudySetting, ...]

    def of(self, study: str) -> StudySetting | None:
        """That of one study."""
        return next((setting for setting in self.studies if setting.study == study), None)


@dataclass(frozen=True, kw_only=True)
class StoredReplicates:
    """What a folder holds.

    Attributes:
        settings: The chosen settings; None if they were not chosen yet, or for another experiment.
        runs: Every stored run.
    """

    settings: Settings | None
    runs: Mapping[Key, Replicate] = field(default_factory=dict)

    def of(self, study: str, *, pilot: bool = False) -> tuple[Replicate, ...]:
        """The runs of a study's chosen setting by seed; or all its pilots."""
        setting = self.settings.of(study) if self.settings else None
        trial = setting.trial if setting else None
        found = (run for run in self.runs.values() if (run.study, run.pilot) == (study, pilot))
        chosen = (run for run in found if pilot or run.trial == trial)
        return tuple(sorted(chosen, key=lambda run: (run.trial, run.seed)))


def read(stored: StoredExperiment) -> StoredReplicates:
    """The replicates of a folder.

    Raises:
        DamagedError: A file is truncated or was altered, or is of another workload than the folder's.
    """
    settings = _read(stored.directory / REPLICATES / SETTINGS, Settings)
    # The folder may have been extended since: then other trials may be the best.
    if settings is not None and settings.experiment != stored.experiment.digest()[:16]:
        settings = None
    paths = (
        path
        for study in stored.experiment.studies()
        for path in sorted((stored.directory / REPLICATES / folder_name(study.name)).glob("[0-9]*.json"))
        # Copies that sync clients and editors leave, such as "00001-00000 2.json", are not records.
        if path.stem.replace("-pilot", "").replace("-", "").isdigit()
    )
    runs = [_checked(stored, path, found) for path in paths if (found := _read(path, Replicate))]
    return StoredReplicates(settings=settings, runs={run.key: run for run in runs})


def failed(stored: StoredExperiment) -> list[TrialRecord]:
    """Fresh runs that are asked for and in which the user's code raised an error, as trials that failed.

    Raises:
        DamagedError: A file is truncated or was altered.
    """
    if stored.experiment.replicates is None:
        return []
    return [
        TrialRecord(
            study=f"a fresh run of {run.study}",
            trial=run.trial,
            hyperparameters=run.hyperparameters,
            trained=run.trained,
            failed=True,
            examples_forwarded=run.examples_forwarded,
            examples_backpropagated=run.examples_backpropagated,
            seconds=0.0,
            error=run.error,
        )
        for run in read(stored).runs.values()
        if run.error is not None
    ]


def write_settings(stored: StoredExperiment, studies: Iterable[StudySetting]) -> Settings:
    """Store the chosen settings.

    Raises:
        StorageError: The file cannot be written.
    """
    settings = Settings(experiment=stored.experiment.digest()[:16], studies=tuple(studies))
    write_record(stored.directory / REPLICATES / SETTINGS, settings, indent=2)
    return settings


def write_replicate(stored: StoredExperiment, run: Replicate) -> Replicate:
    """Store a run, with what it was trained on.

    Raises:
        StorageError: The file cannot be written.
    """
    digest = None if stored.facts is None else stored.facts.digest
    whole = run.model_copy(update={"experiment": _digest(stored), "fingerprint": digest})
    pilot = "-pilot" if run.pilot else ""
    name = f"{run.trial:05d}{pilot}-{run.seed:05d}.json"
    write_record(stored.directory / REPLICATES / folder_name(run.study) / name, whole)
    return whole


def _digest(stored: StoredExperiment) -> str:
    return (stored.facts.experiment if stored.facts else None) or stored.experiment.digest()[:16]


def _read(path: Path, kind: type[R]) -> R | None:
    return read_record(
        path, kind, fix="Delete it and run again: it is made again if it is needed.", older=False
    )


def _checked(stored: StoredExperiment, path: Path, run: Replicate) -> Replicate:
    facts = stored.facts
    if facts is not None and facts.fingerprint is not None and run.fingerprint not in facts.known:
        raise DamagedError(
            "holds a replicate on another workload, which cannot be used here",
            where=str(path),
            fix="Delete it and run again: it is made again if it is needed.",
        )
    return run
