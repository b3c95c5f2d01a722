"""`headrace watch`: the report of a run while it is under way, renewed in its file."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from headrace.cli._common import say, working
from headrace.cli._options import APath, check_number
from headrace.errors import InputError

if TYPE_CHECKING:
    from headrace.store.progress import State

LONGEST_SECONDS = 86_400
_SHARE = 10
"""Of this many seconds renewing takes one, at most: the run comes first."""


def watch(
    directory: APath, /, *, every: float = 30.0, once: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Renew report.html of DIRECTORY while a run is under way there; ends with the run, or with Ctrl-C.

    Open the page in a browser: it renews itself. No server is needed, and nothing of the run changes.

    Example: headrace watch runs/first

    Args:
        directory: The folder of an experiment that is being run, on this machine or on a shared disk.
        every: Seconds between two renewals; longer if drawing takes long, shorter never.
        once: Renew it once and end.
    """
    from headrace.analysis.search_results import is_search
    from headrace.report.write import PAGE
    from headrace.store.lock import holder

    check_number("--every", every, 1, LONGEST_SECONDS)
    if is_search(directory):
        fix = f"Its state: headrace status {directory}; its report: headrace report {directory}."
        raise InputError("cannot watch a subset search", where=str(directory), fix=fix)
    say(f"Open {directory / PAGE} in a browser. Ctrl-C ends this, not the run.")
    seen, drawing = None, 0.0
    while True:
        began = time.process_time()
        state = _state(directory)
        if state is not None and state.process is None:
            return _end(directory, state)
        if state is not None and (what := _what(state)) != seen:
            with working("renewing the page"):
                seen = what if _renew(directory, state, every) else None
            drawing = time.process_time() - began
        if once:
            return 0
        # The run may have ended, and written its own page, while this one was drawn.
        if state is None or holder(directory) is not None:
            time.sleep(max(every, _SHARE * drawing))


def _state(directory: Path) -> State | None:
    """How far the run is; None while its folder has no workload yet."""
    from headrace.store.experiments import read_facts
    from headrace.store.live import progress_of

    state = progress_of(directory)
    return None if state.process is not None and read_facts(directory) is None else state


def _what(state: State) -> State:
    """What a page shows of a state: all but the time, so that nothing new draws nothing."""
    return replace(state, seconds=0.0, seconds_left=None, share=0.0)


def _renew(directory: Path, state: State, every: float) -> bool:
    """Write the page with all that is stored by now; whether there was anything to draw."""
    from headrace.analysis.results import analyse
    from headrace.report import write_report
    from headrace.report.frame import Live
    from headrace.store.experiments import load

    stored = load(directory)
    if not stored.records:
        return False
    write_report(
        analyse(stored), directory, formats=(), live=Live(state=state.summary(), seconds=max(1, round(every)))
    )
    return True


def _end(directory: Path, state: State) -> int:
    """The run has ended, or there is none: the last page is that of `headrace report`, which stays."""
    from headrace.cli.experiments import conclude
    from headrace.store.experiments import load

    if not state.finished:
        say(f"No process runs {directory}. Give the same `headrace run` again to continue.")
    return conclude(load(directory), json=False)
