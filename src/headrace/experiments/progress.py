"""How far an experiment is: of a run under way, and of a folder."""

from __future__ import annotations

import time
from collections.abc import Sequence

from headrace.experiments.listeners import Listeners
from headrace.experiments.race import Race
from headrace.store.progress import State, study_state
from headrace.store.records import Outcome


class Watch:
    """Passes the state of a run to listeners, now and then.

    Args:
        listeners: The listeners.
        replicates: How many fresh runs there will be, at most.

    Attributes:
        replicates: The fresh runs that are done, of how many.
    """

    INTERVAL_SECONDS = 0.25

    def __init__(self, listeners: Listeners, replicates: int = 0) -> None:
        self._listeners = listeners
        self.replicates: tuple[int, int] = (0, replicates)
        self._start = time.monotonic()
        self._next = 0.0
        self._share_at_start: float | None = None

    def show(self, races: Sequence[Race], *, last: bool = False) -> None:
        """Report the state of the studies and of the fresh runs, unless it was reported a moment ago.

        While parts of studies race, nothing is: their rules are others.
        """
        now = time.monotonic()
        quiet = not self._listeners or any(race.partial for race in races)
        if quiet or (now < self._next and not last):
            return
        self._next = now + self.INTERVAL_SECONDS
        share = share_done(races, self.replicates)
        self._share_at_start = share if self._share_at_start is None else self._share_at_start
        seconds, gained = now - self._start, share - self._share_at_start
        self._listeners.state(
            State(
                studies=tuple(
                    study_state(r.key.name, r.outcomes, asked=r.rules.asked, finished=r.decided)
                    for r in races
                ),
                share=share,
                seconds=seconds,
                seconds_left=seconds * (1 - share) / gained if gained > 0 else None,
                replicates=self.replicates,
            )
        )


def share_done(races: Sequence[Race], replicates: tuple[int, int] = (0, 0)) -> float:
    """The share of the work that is done, with the studies weighted by a guess of their cost.

    Within a study: the rungs that its trials have climbed, of those below the bound known so far. A fresh run
    counts as much as a trial.
    """
    total, (done, of) = sum(race.cost for race in races), replicates
    climbed = sum(race.cost * _climbed(race) for race in races) / total
    trials = sum(race.rules.asked for race in races)
    return (climbed * trials + done) / (trials + of)


def _climbed(race: Race) -> float:
    if race.decided:
        return 1.0
    rungs = [step for step in race.ladder if step < race.bound] + [race.bound]
    known = sorted((_climbed_by(o, rungs) for o in race.outcomes.values()), reverse=True)[: race.rules.asked]
    return sum(known) / race.rules.asked


def _climbed_by(outcome: Outcome, rungs: Sequence[int]) -> float:
    return 1.0 if outcome.settled else sum(step <= outcome.trained for step in rungs) / len(rungs)
