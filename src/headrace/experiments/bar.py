"""The progress of a run as a line on the terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from headrace.experiments.progress import State


class Bar:
    """A line with the studies that are decided, the newest best, and the time left, on standard error.

    A context manager; calling it shows a state. Where standard error is no terminal, nothing is shown.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Line

        self._line = Line(
            TextColumn("{task.fields[studies]} studies"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[news]}"),
            console=Console(file=sys.stderr),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._line.add_task("run", total=1.0, studies="0", left="", news="")
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
        news = [s for s in state.studies if s.best_steps != self._best.get(s.study)]
        self._best = {s.study: s.best_steps for s in state.studies}
        studies = f"{state.finished_studies}/{len(state.studies)}"
        self._line.update(self._task, completed=state.share, studies=studies, left=time_left(state))
        if news:
            self._line.update(self._task, news=f"{news[-1].study}: {news[-1].best_steps} steps")


def time_left(state: State) -> str:
    """The estimate in words."""
    seconds = state.seconds_left
    if seconds is None or state.seconds < 5:
        return ""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.0f} {unit} left"
    return f"about {seconds:.0f} s left"
