"""How far an experiment is: of a run under way, and of a folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from headrace.experiments.race import Race
from headrace.store.progress import State, study_state
from headrace.store.records import Outcome

if TYPE_CHECKING:
    pass


class Progress(Protocol):
    """Called with the state of a run from the run's own thread; may be slow, but then so is the run."""

    def __call__(self, state: State) -> None:
        """Show it."""
        ...


class Watch:
    """Tells `progress` the state of a run, now and then.

    Args:
        progress: Whom to tell, or None.
    """

    INTERVAL_SECONDS = 0.25

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._start = time.monotonic()
        self._next = 0.0
        self._share_at_start: float | None = None

    def show(self, races: Sequence[Race], *, last: bool = False) -> None:
        """Tell the state of the studies, unless it was told a moment ago."""
        now = time.monotonic()
        if self._progress is None or (now < self._next and not last):
            return
        self._next = now + self.INTERVAL_SECONDS
        share = share_done(races)
        self._share_at_start = share if self._share_at_start is None else self._share_at_start
        seconds, gained = now - self._start, share - self._share_at_start
        self._progress(
            State(
                studies=tuple(
                    study_state(r.key.name, r.outcomes, asked=r.rules.asked, finished=r.decided)
                    for r in races
                ),
                share=share,
                seconds=seconds,
                seconds_left=seconds * (1 - share) / gained if gained > 0 else None,
            )
        )


def share_done(races: Sequence[Race]) -> float:
    """The share of the work that is done, with the studies weighted by a guess of their cost.

    Within a study: the rungs that its trials have climbed, of those below the bound known so far.
    """
    total = sum(race.cost for race in races)
    return sum(race.cost * _climbed(race) for race in races) / total


def _climbed(race: Race) -> float:
    if race.decided:
        return 1.0
    rungs = [step for step in race.ladder if step < race.bound] + [race.bound]
    known = sorted((_climbed_by(o, rungs) for o in race.outcomes.values()), reverse=True)[: race.rules.asked]
    return sum(known) / race.rules.asked


def _climbed_by(outcome: Outcome, rungs: Sequence[int]) -> float:
    settled = outcome.reached is not None or outcome.diverged is not None or outcome.failed
    return 1.0 if settled else sum(step <= outcome.trained for step in rungs) / len(rungs)
