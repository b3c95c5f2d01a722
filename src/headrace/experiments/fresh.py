"""What follows the race: the setting of each study is chosen, and trained again from fresh seeds.

See `headrace.analysis.choice` for the rule. Seeds are the outer loop: if it is interrupted, no study has more
than one seed more than another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from headrace.analysis.choice import PILOTS, Pilots, choose, settle
from headrace.analysis.studies import read_studies
from headrace.engines._base import Engine, each_done
from headrace.specs.tables import Replicates
from headrace.store.experiments import StoredExperiment
from headrace.store.replicates import (
    Key,
    Replicate,
    StoredReplicates,
    StudySetting,
    read,
    write_replicate,
    write_settings,
)
from headrace.trials.fresh import FreshRun

Report = Callable[[int, int], None]
"""Called with (runs done, runs there are)."""


def incomplete(stored: StoredExperiment) -> bool:
    """Whether fresh runs are asked for that are yet to be made, and all studies are decided.

    Raises:
        DamagedError: A stored record is truncated or was altered.
    """
    asked = stored.experiment.replicates
    if asked is None or not _decided(stored):
        return False
    there = read(stored)
    return there.settings is None or bool(_missing(stored, asked, there, there.settings.studies))


def replicate(stored: StoredExperiment, engine: Engine, report: Report) -> StoredReplicates | None:
    """Make the fresh runs that are asked for; those that are stored are not made again.

    Args:
        stored: All of its studies are decided; otherwise nothing is done.
        engine: Open, with benches of the experiment that expect the folder's workload.
        report: Called after each run; those of pilots are not counted.

    Returns:
        What the folder holds then; None if nothing was asked for.

    Raises:
        DamagedError: A stored record is truncated or was altered.
        StorageError: The folder cannot be written.
    """
    asked = stored.experiment.replicates
    if asked is None or not _decided(stored):
        return None
    there = read(stored)
    if there.settings is None:
        there = _settled(stored, engine, asked, there, report)
    assert there.settings is not None
    chosen = there.settings.studies
    jobs = _missing(stored, asked, there, chosen)
    of = asked.seeds * sum(setting.trial is not None for setting in chosen)
    made = _made(stored, engine, jobs, lambda done: report(of - len(jobs) + done, of))
    return StoredReplicates(settings=there.settings, runs={**there.runs, **made})


def at_most(stored: StoredExperiment) -> int:
    """How many fresh runs are made if every study has a best setting, without pilots; a share makes none."""
    asked = stored.experiment.replicates
    return 0 if asked is None or stored.share is not None else asked.seeds * len(stored.trained())


def _decided(stored: StoredExperiment) -> bool:
    whole = stored.share is None and stored.facts is not None
    return whole and all(map(stored.judgement, stored.experiment.studies()))


def _settled(
    stored: StoredExperiment, engine: Engine, asked: Replicates, there: StoredReplicates, report: Report
) -> StoredReplicates:
    """Choose the settings; where a study's own and the common one differ, by pilot runs of both."""
    trained = {study.name for study in stored.trained()}
    settings = choose([study for study in read_studies(stored) if study.key.name in trained])
    apart = [one for one in settings if one.own not in (None, one.common)]
    of = asked.seeds * sum(one.own is not None for one in settings)
    jobs = [job for job in _pilots(stored, apart) if not _ended(there, job)]
    runs = dict(there.runs) | _made(stored, engine, jobs, lambda _: report(0, of))
    found = {one.study: one for one in settle([_of(one, runs) for one in apart])}
    final = write_settings(stored, [found.get(one.study, one) for one in settings])
    return StoredReplicates(settings=final, runs=runs)


def _pilots(stored: StoredExperiment, apart: Sequence[StudySetting]) -> Iterator[FreshRun]:
    for seed in range(PILOTS):
        for one in apart:
            for trial in (one.common, one.own):
                yield _job(stored, one.study, trial, seed, until="goal", pilot=True)


def _of(setting: StudySetting, runs: dict[Key, Replicate]) -> Pilots:
    def of(trial: int | None) -> list[Replicate]:
        return [runs[setting.study, trial or 0, seed, True] for seed in range(PILOTS)]

    return Pilots(setting=setting, own=of(setting.own), common=of(setting.common))


def _missing(
    stored: StoredExperiment, asked: Replicates, there: StoredReplicates, chosen: Sequence[StudySetting]
) -> list[FreshRun]:
    jobs = (
        _job(stored, one.study, one.trial, seed, until=asked.until, pilot=False)
        for seed in range(asked.seeds)
        for one in chosen
        if one.trial is not None
    )
    return [job for job in jobs if not _ended(there, job)]


def _job(
    stored: StoredExperiment, study: str, trial: int | None, seed: int, *, until: str, pilot: bool
) -> FreshRun:
    key = next(key for key in stored.experiment.studies() if key.name == study)
    assert trial is not None
    return FreshRun(
        study=key,
        trial=trial,
        values=stored.experiment.hyperparameters(key, trial),
        seed=seed,
        pilot=pilot,
        until="goal" if until == "goal" else "budget",
    )


def _ended(there: StoredReplicates, job: FreshRun) -> bool:
    run = there.runs.get((job.study.name, job.trial, job.seed, job.pilot))
    return run is not None and run.ended(job.until)


def _made(
    stored: StoredExperiment, engine: Engine, jobs: Sequence[FreshRun], report: Callable[[int], None]
) -> dict[Key, Replicate]:
    made: dict[Key, Replicate] = {}
    for done, (_, run) in enumerate(each_done(engine, jobs), start=1):
        made[run.key] = write_replicate(stored, run)
        report(done)
    return made
