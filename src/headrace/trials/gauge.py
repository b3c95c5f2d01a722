"""The job of a gauge: what the parts of a trial take here, before anything is trained. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.specs.studies import StudyKey
from headrace.trials.tasks import Gauged, Memory

if TYPE_CHECKING:
    from headrace.trials.bench import Bench


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """Time the parts of a trial, with the trial's own loop; nothing of it is kept.

    Attributes:
        study: The study.
        seconds: About how long steps are timed.
    """

    study: StudyKey
    seconds: float

    def do(self, bench: Bench) -> Gauged:
        """Do it."""
        from headrace.trials.gauging import gauged

        return gauged(bench.on(self.study.configuration.subset), self.study, self.seconds)


@dataclass(frozen=True, kw_only=True)
class Weigh:
    """How much memory a worker takes once it has loaded the workload."""

    def do(self, bench: Bench) -> Memory:
        """Do it."""
        from headrace.trials.gauging import memory

        return memory(bench.setting.device)
