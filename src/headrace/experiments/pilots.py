"""A short calibration on this machine: what parts of a trial take, and when first trials reach the goal.

A few studies are looked at: of the plain configuration those of a middle, the largest and the smallest batch
size, and one to three of each other policy, subset, optimizer and number of workers. Their parts are timed by
the trial's own loop. Then the first trials of each race as in the run itself, where half as many as decide a
study must reach the goal among half of its trials, and if there is time left the whole study. In a run
nothing of that is wasted: these trials are the run's own, and are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headrace.engines._base import each_done
from headrace.experiments.dispatch import Dispatch
from headrace.experiments.race import Race
from headrace.specs.grid import values_of
from headrace.specs.studies import StudyKey
from headrace.store.bound import Judgement, Rules, judge
from headrace.store.experiments import StoredExperiment
from headrace.trials.gauge import Gauge
from headrace.trials.tasks import Gauged

GAUGE_SECONDS = 0.25
"""How long the steps of a study are timed, about."""
SOON, LATEST = 8.0, 20.0
"""Seconds after which no study begins that could make the calibration more exact, and after which all end."""
TIMED = 3
"""Groups of `pilots` whose steps are timed, and which race even if time is short."""

Show = Callable[[float], object]
"""Called with the share of the calibration that is done."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the race of a study, or of its first trials, came to.

    Attributes:
        study: The study.
        counted: How many trials had to count.
        tried: How many were trained, those that diverged included.
        rank: How many of them had to reach the goal.
        reached: How many did.
        decided: The step at which that was decided; if it is not `over`, how far all of them got.
        steps: Steps of all of them up to there.
        best: The fewest steps in which one did; None if none did.
        over: Whether it is decided.
        stored: Whether it was decided before.
    """

    study: StudyKey
    counted: int
    tried: int
    rank: int
    reached: int
    decided: int
    steps: int
    best: int | None
    over: bool
    stored: bool = False


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a calibration found.

    Attributes:
        gauges: Times of the parts of trials.
        seen: Races.
        processes: How many trials were trained at once.
        start_seconds: What it took to start the workers and load the workload.
        gauge_seconds: What timing the parts of trials took.
        seconds: What the whole calibration took.
    """

    gauges: tuple[Gauged, ...]
    seen: tuple[Seen, ...]
    processes: int
    start_seconds: float
    gauge_seconds: float
    seconds: float


def calibrate(
    stored: StoredExperiment,
    dispatch: Dispatch,
    *,
    start_seconds: float,
    show: Show = lambda _: None,
) -> Calibration:
    """Time the parts of trials and let the first trials of some studies race, for `LATEST` seconds at most.

    Args:
        stored: What is there.
        dispatch: What trains the experiment; the races continue where they are then.
        start_seconds: What it took to open the engine.
        show: Called now and then.
    """
    started, engine = time.monotonic(), dispatch.engine
    open_races = {race.key.name: race for race in dispatch.schedule.races if not race.decided}
    groups = pilots([race.key for race in open_races.values()])
    jobs = [Gauge(study=study, seconds=GAUGE_SECONDS) for group in groups[:TIMED] for study in group]
    gauges: list[Gauged] = []
    for _, gauge in each_done(engine, jobs):
        gauges.append(gauge)
        show(0.3 * len(gauges) / len(jobs))
    gauge_seconds = time.monotonic() - started
    races = [[open_races[study.name] for study in group] for group in groups]
    if stored.experiment.training.stop == "bound" and not engine.together:
        _race(dispatch, races, lambda: time.monotonic() - started, show)
    seen = [_seen(race) for group in races for race in group]
    before = [found for key in stored.trained() if (found := _stored(stored, key)) is not None]
    return Calibration(
        gauges=tuple(gauges),
        seen=(*before, *(found for found in seen if found is not None)),
        processes=engine.workers,
        start_seconds=start_seconds,
        gauge_seconds=gauge_seconds,
        seconds=time.monotonic() - started,
    )


def pilots(studies: Sequence[StudyKey]) -> list[list[StudyKey]]:
    """The studies that are looked at, the most useful first; those of a group are looked at together.

    Three of the plain configuration; one of each other level, which is enough to time its steps; of other
    optimizers, and then of other levels, the smallest and the largest batch size.

    Args:
        studies: Those with training left; the first is the plain configuration.
    """
    if not studies:
        return []
    plain = studies[0]
    curve = [study for study in studies if not _differs(study, plain)]
    middle, ends = curve[len(curve) // 2], (curve[-1], curve[0])
    levels = {
        (axis, values_of(study)[axis]): axis
        for axis in values_of(plain)
        for study in studies
        if axis != "batch_size" and values_of(study)[axis] != values_of(plain)[axis]
    }

    def nearest(level: tuple[str, object], to: StudyKey) -> StudyKey:
        having = (study for study in studies if values_of(study)[level[0]] == level[1])
        return min(having, key=lambda study: _distance(study, to))

    wider = [(axis == "optimizer", nearest(level, end)) for level, axis in levels.items() for end in ends]
    groups = [
        [middle],
        list(ends),
        [nearest(level, middle) for level in levels],
        [study for optimizer, study in wider if optimizer],
        [study for optimizer, study in wider if not optimizer],
    ]
    done: set[StudyKey] = set()
    for group in groups:
        group[:] = [study for study in dict.fromkeys(group) if study not in done]
        done.update(group)
    return groups


def _differs(study: StudyKey, plain: StudyKey) -> int:
    """In how many axes besides the batch size."""
    mine, theirs = values_of(study), values_of(plain)
    return sum(mine[axis] != theirs[axis] for axis in mine if axis != "batch_size")


def _distance(study: StudyKey, plain: StudyKey) -> tuple[int, float]:
    sizes = study.configuration.batch_size, plain.configuration.batch_size
    return _differs(study, plain), abs(math.log(sizes[0] / sizes[1]))


def _race(
    dispatch: Dispatch, groups: Sequence[Sequence[Race]], elapsed: Callable[[], float], show: Show
) -> None:
    """Let the first half of each study's trials race, and then, as long as there is time, all of them."""
    whole = {race.number: race.rules for group in groups for race in group}
    rounds = [(part, number) for part in (0.5, 1.0) for number in range(len(groups)) if groups[number]]
    for place, (part, number) in enumerate(rounds):
        group, needed = groups[number], part < 1 and number <= TIMED
        if elapsed() >= (LATEST if needed else SOON):
            continue
        for race in group:
            race.judge_by(partly(whole[race.number], part), partial=True)
        dispatch.some([race.number for race in group], LATEST - elapsed())
        show(0.3 + 0.7 * max((place + 1) / len(rounds), min(1.0, elapsed() / LATEST)))
    for group in groups:
        for race in group:
            race.judge_by(whole[race.number], partial=False)
            if race.decided:
                dispatch.let_go(race)


def partly(rules: Rules, part: float) -> Rules:
    """The rules by which the first trials of a study race: about `part` of what decides the study."""
    rank = math.ceil(part * rules.rank)
    return replace(rules, rank=rank, asked=min(rules.asked, math.ceil(rules.asked * rank / rules.rank)))


def _seen(race: Race) -> Seen | None:
    """The largest part of a study that is decided, or else how far the trials of its first half got."""
    for part in (1.0, 0.5):
        rules = partly(race.rules, part)
        judged = judge(race.outcomes, rules)
        if judged is not None:
            return _of(race.key, rules, judged)
    rules = partly(race.rules, 0.5)
    begun = [race.outcomes[trial] for trial in rules.trials[: rules.asked] if trial in race.outcomes]
    if not begun:
        return None
    return Seen(
        study=race.key,
        counted=rules.asked,
        tried=len(race.outcomes),
        rank=rules.rank,
        reached=sum(one.reached is not None for one in begun),
        decided=min((one.trained for one in begun if not one.settled), default=0),
        steps=sum(one.trained for one in begun),
        best=min((one.reached for one in begun if one.reached is not None), default=None),
        over=False,
    )


def _of(study: StudyKey, rules: Rules, judged: Judgement, *, stored: bool = False) -> Seen:
    return Seen(
        study=study,
        counted=rules.asked,
        tried=len(judged.trials),
        rank=rules.rank,
        reached=len(judged.best),
        decided=judged.decided,
        steps=sum(trial.trained for trial in judged.trials),
        best=judged.best[0][0] if judged.best else None,
        over=True,
        stored=stored,
    )


def _stored(stored: StoredExperiment, study: StudyKey) -> Seen | None:
    judged = stored.judgement(study)
    return None if judged is None else _of(study, stored.rules(study), judged, stored=True)
