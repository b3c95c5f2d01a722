"""Who hears of a run: a bar on the terminal, the small file for `headrace status`, a tracker.

No result depends on a listener, so one that raises an error is reported once and dropped. Storing what was
measured is no listener's work: the ledger does that, and its errors end the run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from headrace.errors import describe
from headrace.specs.experiment import Experiment
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment
from headrace.store.facts import WorkloadFacts
from headrace.store.progress import State
from headrace.store.records import TrialRecord
from headrace.trials.tasks import Row


class Listener:
    """Hears of a run from the run's own thread, which waits for it; override what matters."""

    def begin(self, experiment: Experiment, facts: WorkloadFacts) -> None:
        """Trials are about to be trained."""

    def measured(self, record: TrialRecord, rows: list[Row]) -> None:
        """A trial was trained on.

        Args:
            record: Facts about the trial until now.
            rows: Its new measurements; if it was begun again, all of them.
        """

    def settled(self, record: TrialRecord) -> None:
        """A trial has reached the goal, has diverged, or has raised an error."""

    def decided(self, study: StudyKey) -> None:
        """Nothing that is still open can change a study's result."""

    def state(self, state: State) -> None:
        """The state of the run, a few times per second at most."""

    def end(self, stored: StoredExperiment) -> None:
        """Every study is decided, and everything is stored."""


class Showing(Listener):
    """Shows the state of a run and nothing else.

    Args:
        show: Called with each state.
    """

    def __init__(self, show: Callable[[State], object]) -> None:
        self._show = show

    def state(self, state: State) -> None:
        """Show it."""
        self._show(state)


class Listeners(Listener):
    """Several listeners as one; those that raise an error are dropped.

    Args:
        listeners: In the order in which they hear of things.
        complain: Called with a line about each that is dropped; by default it is written to standard error.
    """

    def __init__(
        self, listeners: Iterable[Listener], complain: Callable[[str], object] | None = None
    ) -> None:
        self._listeners = list(listeners)
        self._complain = complain or _complain

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def begin(self, experiment: Experiment, facts: WorkloadFacts) -> None:
        """Pass it on."""
        self._each(lambda listener: listener.begin(experiment, facts))

    def measured(self, record: TrialRecord, rows: list[Row]) -> None:
        """Pass it on."""
        self._each(lambda listener: listener.measured(record, rows))

    def settled(self, record: TrialRecord) -> None:
        """Pass it on."""
        self._each(lambda listener: listener.settled(record))

    def decided(self, study: StudyKey) -> None:
        """Pass it on."""
        self._each(lambda listener: listener.decided(study))

    def state(self, state: State) -> None:
        """Pass it on."""
        self._each(lambda listener: listener.state(state))

    def end(self, stored: StoredExperiment) -> None:
        """Pass it on."""
        self._each(lambda listener: listener.end(stored))

    def _each(self, call: Callable[[Listener], None]) -> None:
        for listener in list(self._listeners):
            try:
                call(listener)
            except Exception as error:  # noqa: BLE001  (anything of a user's own listener)
                self._listeners.remove(listener)
                name = type(listener).__name__
                self._complain(f"headrace: {name} raised {describe(error)}; the run continues without it")


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")
