"""What was measured in this run, and when it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.store import checkpoints
from headrace.store.columns import schema
from headrace.store.experiments import write_trials
from headrace.store.facts import WorkloadFacts
from headrace.store.parts import Part
from headrace.store.records import TrialRecord
from headrace.trials.tasks import Report, Row

if TYPE_CHECKING:
    import polars as pl

SECONDS_AT_RISK = 20.0
"""So much training of one trial, at most, is left unstored between two of its tasks."""


@dataclass(kw_only=True)
class Entry:
    """A trial of this run: its record, its measurements, and the seconds of training that are not stored."""

    record: TrialRecord
    rows: list[Row] = field(default_factory=list)
    unstored: float = 0.0


class Ledger:
    """The trials of this run, stored when they are settled, or their study is decided, or the run ends.

    Args:
        directory: The experiment's folder.
        facts: The folder's, which workers compare with what they loaded; each trial carries their digests.

    Attributes:
        written: The parts that were stored, by their paths.
    """

    def __init__(self, directory: Path, facts: WorkloadFacts) -> None:
        self._directory = directory
        self._schema = schema(facts.metric_name)
        self._origin = {"experiment": facts.experiment, "fingerprint": facts.digest}
        self._open: dict[tuple[str, int], Entry] = {}
        self.written: dict[Path, Part] = {}

    def note(self, report: Report) -> None:
        """Take in what a task has brought; store it where the trial is settled, or much is at risk."""
        record = report.record
        for step, content in report.checkpoints:
            checkpoints.write(self._directory, record.study, record.trial, step, content)
        key = (record.study, record.trial)
        entry = self._open.setdefault(key, Entry(record=record))
        before = entry.record.seconds if report.start else 0.0
        entry.unstored += record.seconds - before if entry.rows else record.seconds
        entry.record = record
        entry.rows[report.start :] = report.rows
        if record.settled or entry.unstored >= SECONDS_AT_RISK:
            self._store(key)
        if record.settled:
            del self._open[key]

    def store_study(self, study: str) -> None:
        """Store the trials of a decided study that are not settled, and let go of them."""
        for key in [key for key in self._open if key[0] == study]:
            self._store(key)
            del self._open[key]

    def store_all(self) -> None:
        """Store everything that is known."""
        for key in list(self._open):
            self._store(key)

    def _store(self, key: tuple[str, int]) -> None:
        entry = self._open[key]
        if entry.unstored > 0:
            record = entry.record.model_copy(update=self._origin)
            part = write_trials(self._directory, [record], self._frame(entry.rows), part=record.trial)
            self.written[part.path] = part
            entry.unstored = 0.0

    def _frame(self, rows: list[Row]) -> pl.DataFrame:
        import polars as pl

        return pl.DataFrame(rows, schema=self._schema, orient="row")
