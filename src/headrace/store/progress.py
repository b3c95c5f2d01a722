"""How far an experiment is: the state of a run while it runs, and of a folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from headrace.store.records import Outcome

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """How far one study is.

    Attributes:
        study: Its name.
        trials: The trials that have begun.
        of: The trials asked for.
        infeasible: Those known to have diverged.
        failed: Those that raised an error.
        best_steps: The fewest steps to result so far, or None.
        finished: Whether the study is decided.
    """

    study: str
    trials: int
    of: int
    infeasible: int
    failed: int
    best_steps: int | None
    finished: bool


@dataclass(frozen=True, kw_only=True)
class State:
    """How far an experiment is.

    Attributes:
        studies: Each study's state.
        share: The share of the work that is done, a guess from 0 to 1.
        seconds: How long the run has taken, 0 for a folder.
        seconds_left: A guess of how long it will take, or None if it cannot be estimated.
        process: The process that runs the experiment, or None.
        replicates: The fresh runs that are done, of how many; none if none were asked for.
    """

    studies: tuple[StudyState, ...]
    share: float = 0.0
    seconds: float = 0.0
    seconds_left: float | None = None
    process: str | None = None
    replicates: tuple[int, int] = (0, 0)

    @property
    def finished(self) -> bool:
        """Whether every study is decided, and every fresh run made."""
        return self.finished_studies == len(self.studies) and self.replicates[0] == self.replicates[1]

    @property
    def finished_studies(self) -> int:
        """How many studies are decided."""
        return sum(study.finished for study in self.studies)

    def summary(self) -> str:
        """One line."""
        trials = sum(study.trials for study in self.studies)
        known = f"{self.finished_studies} of {len(self.studies)} studies finished, {trials} trials"
        if self.replicates[1]:
            known += f", {self.replicates[0]} of {self.replicates[1]} replicates"
        running = "" if self.process is None else f"; running (process {self.process})"
        left = time_left(self)
        return f"{known}{running}{', ' + left if left else ''}"

    def rows(self) -> list[tuple[object, ...]]:
        """A table: study, trials, of, infeasible, failed, best steps, finished."""
        return [
            (s.study, s.trials, s.of, s.infeasible, s.failed, s.best_steps, "yes" if s.finished else "no")
            for s in self.studies
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "finished": self.finished,
            "running": self.process is not None,
            "process": self.process,
            "share": self.share,
            "seconds": self.seconds,
            "seconds_left": self.seconds_left,
            "replicates": {"done": self.replicates[0], "of": self.replicates[1]},
            "studies": [asdict(study) for study in self.studies],
        }


def time_left(state: State) -> str:
    """The estimate in words."""
    seconds = state.seconds_left
    if seconds is None or state.seconds < 5:
        return ""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.0f} {unit} left"
    return f"about {seconds:.0f} s left"


def study_state(study: str, outcomes: dict[int, Outcome], *, asked: int, finished: bool) -> StudyState:
    """The state of a study from the outcomes of its trials so far."""
    known = outcomes.values()
    return StudyState(
        study=study,
        trials=len(outcomes),
        of=asked,
        infeasible=sum(o.diverged is not None and o.reached is None for o in known),
        failed=sum(o.failed for o in known),
        best_steps=min((o.reached for o in known if o.reached is not None), default=None),
        finished=finished,
    )
