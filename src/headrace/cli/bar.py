"""The progress of a run: a line on the terminal, or now and then a plain line in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from headrace.printable import printable
from headrace.store.progress import State, time_left

LOG_SECONDS = 30.0
"""How often a plain line is written if standard error is not a terminal."""


class Bar:
    """A line with the studies that are decided, the newest best, and the time left, on standard error.

    A context manager; calling it shows a state. If standard error is not a terminal, a plain line is
    written every `LOG_SECONDS`, so that the log of a long run shows progress.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Line

        console = Console(file=sys.stderr)
        self._plain = not console.is_terminal
        self._next_line = time.monotonic() + LOG_SECONDS
        self._line = Line(
            TextColumn("{task.fields[studies]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[news]}", markup=False),
            console=console,
            transient=True,
            disable=self._plain,
        )
        self._task = self._line.add_task("run", total=1.0, studies="loading", left="", news="")
        self._best: dict[str, int | None] = {}

    def __enter__(self) -> Self:
        self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.stop()

    def __call__(self, state: State) -> None:
        """Show a state."""
        if self._plain:
            self._log(state)
            return
        news = [s for s in state.studies if s.best_steps != self._best.get(s.study)]
        self._best = {s.study: s.best_steps for s in state.studies}
        studies = f"{state.finished_studies}/{len(state.studies)} studies"
        if state.replicates[1]:
            studies += f", {state.replicates[0]}/{state.replicates[1]} replicates"
        self._line.update(self._task, completed=state.share, studies=studies, left=time_left(state))
        if news:
            study = printable(news[-1].study, one_line=True)
            self._line.update(self._task, news=f"{study}: {news[-1].best_steps} steps")

    def _log(self, state: State) -> None:
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + LOG_SECONDS
        left = time_left(state)
        decided = f"{state.finished_studies} of {len(state.studies)} studies decided"
        if state.replicates[1]:
            decided += f", {state.replicates[0]} of {state.replicates[1]} replicates"
        sys.stderr.write(f"{decided}, {state.share:.0%}{', ' + left if left else ''}\n")
        sys.stderr.flush()
