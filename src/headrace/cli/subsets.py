"""`subset`: from a search file to a subset file, and whether the search paid."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli._common import Json, print_json, print_table, say, working
from headrace.cli._options import APath, OptionalPath, check_processes
from headrace.errors import InputError, InputErrors
from headrace.printable import printable

if TYPE_CHECKING:
    from collections.abc import Generator

    from headrace.specs.experiment import Experiment
    from headrace.store.outcome import Cost, Outcome


def subset(
    search: APath,
    *,
    out: OptionalPath = None,
    processes: int | None = None,
    engine: str = "local",
    answers: OptionalPath = None,
    accept_labels: bool = False,
    accept_change: str | None = None,
    json: Json = False,
) -> int:
    """Search for a subset, or resume the search; at the end OUT holds subset.parquet and report.html.

    Example: headrace subset search.toml --out runs/subset

    Args:
        search: The file of the search (TOML).
        out: The folder of the results. Default: runs/NAME for NAME.toml.
        processes: How many runs are trained at the same time. Default: one per core.
        engine: Where models are trained and score examples, as for `headrace run`.
        answers: Labels that people gave (CSV, JSON or JSON lines), if the search waits for them.
        accept_change: Why the search may continue although the workload's code or data have changed since its
            first runs. The reason is recorded, and shown in the report.
        accept_labels: Accept labels that were changed by hand in OUT/labels.json.
    """
    from headrace.search.runner import search_subset
    from headrace.specs.search import SubsetSearch

    check_processes(processes)
    folder = out if out is not None else Path("runs") / search.stem
    spec = SubsetSearch.from_toml(search)
    with _named(search, answers), _Line(shown=_is_first()) as line:
        outcome = search_subset(
            spec,
            folder,
            processes=processes,
            answers=answers,
            accept_labels=accept_labels,
            accept_change=accept_change,
            announce=_announce,
            progress=line,
            engine=engine,
        )
    if not _is_first():
        return 0
    results, page = _written(outcome)
    if json:
        print_json(results)
    else:
        _print(outcome, results, page)
    return 0


def _is_first() -> bool:
    """Whether this is the process that prints and writes: under torchrun rank 0 alone."""
    return os.environ.get("RANK", "0") == "0"


def _written(outcome: Outcome) -> tuple[dict[str, Any], Path]:
    """The results of a search and the path of its report, both written."""
    from headrace.analysis.search_results import analyse_search
    from headrace.analysis.subset_search import write
    from headrace.report import write_search_report

    results = write(outcome)
    with working("writing the report"):
        return results, write_search_report(analyse_search(outcome), outcome.directory)


def with_searched(experiment: Experiment, directory: Path, *, processes: int | None) -> Experiment:
    """An experiment whose subsets are all files: those of a search are searched for, unless they were.

    Args:
        experiment: As its file says it.
        directory: Its folder.
        processes: How many runs are trained at the same time; None for one per core.
    """
    from headrace.experiments.searched import folder_of, is_found, searches, with_found
    from headrace.search.runner import search_subset

    for name, spec in searches(experiment).items():
        if is_found(directory, name, spec):
            continue
        with _named(Path(experiment.subsets[name]), None), _Line(shown=_is_first()) as line:
            outcome = search_subset(
                spec, folder_of(directory, name), processes=processes, announce=_announce, progress=line
            )
        if _is_first():
            _written(outcome)
    return with_found(experiment, directory)


@contextmanager
def _named(file: Path, answers: Path | None) -> Generator[None]:
    """What is found wrong with a search once its workload is known carries the file's name."""
    try:
        yield
    except InputErrors as errors:
        if answers is not None and errors.where == str(answers):
            raise
        raise InputErrors(errors.errors, where=f"{file}, {errors.where}") from None
    except InputError as error:
        # From a worker process only its text came over.
        if error.where is None:
            raise error.within(str(file)) from None
        raise


def status_search(directory: Path, *, json: bool) -> int:
    """Show how far a search is."""
    from headrace.search.progress import progress_of

    state = progress_of(directory)
    if json:
        print_json(vars(state))
        return 0
    columns = ("subsets of a size", "of", "runs trained", "process", "finished")
    row = (state.subsets, state.of, state.runs, state.process, "yes" if state.finished else "no")
    print_table(columns, [row], title=f"{directory}: subset search on {state.workload}")
    return 0


def report_search(directory: Path, *, json: bool) -> int:
    """Write the report of a search again; its results too, if the folder says what they follow from."""
    with working("writing the report"):
        from headrace.analysis.search_results import read_search
        from headrace.analysis.subset_search import write
        from headrace.report import write_search_report
        from headrace.store.searches import load_search

        outcome = load_search(directory)
        if outcome is not None:
            write(outcome)
        analysis = read_search(directory)
        page = write_search_report(analysis, directory)
    if json:
        print_json(analysis.content)
    else:
        say(f"The report: {page}")
    if outcome is None:
        say(
            "An earlier version made this folder and kept no record of what it compared, so the results are "
            f"those of {directory / 'results.json'}. `headrace subset` adds the record, and trains nothing.",
            error=True,
        )
    return 0


def _announce(costs: tuple[Cost, ...], held: int) -> None:
    """What will be done at most (shared work is counted in every group), and in what memory."""
    trained, scored = sum(c.examples_trained for c in costs), sum(c.examples_scored for c in costs)
    say(
        f"At most {trained:,} examples to train on and {scored:,} to score; scoring and choosing take up to "
        f"{held / 1e6:,.0f} MB in each process, in addition to the data.",
        error=True,
    )


def _print(outcome: Outcome, results: dict[str, Any], page: Path) -> None:
    from headrace.analysis.subset_search import table_rows

    for sentence in results["conclusions"] + results["verdicts"]:
        say(f"- {sentence}")
    if results["table"]:
        say("")
        columns = ("group", "examples", "share", "mean", "95% interval", "seeds")
        print_table(columns, table_rows(results), title=results["metric"])
    if outcome.waiting is not None:
        what = "\nWhen they are labelled, give the same command with --answers FILE."
    else:
        what = f"\nThe subset: {outcome.subset}   The report: {page}"
    say(what)


class _Line:
    """What is being done and how far it is, on standard error; in a log a plain line now and then."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        from headrace.cli.bar import LOG_SECONDS

        console = Console(file=sys.stderr)
        terminal = sys.stderr.isatty()
        self._progress = Progress(console=console, transient=True, disable=not (shown and terminal))
        self._tasks: dict[str, Any] = {}
        self._plain = shown and not terminal
        self._pause = LOG_SECONDS
        self._next_line = time.monotonic() + self._pause

    def __enter__(self) -> _Line:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, there: int) -> None:
        """Show that `done` of `there` jobs are done; called again with the same words for the same line."""
        if self._plain and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + self._pause
            say(f"{what}: {done:,} of {there:,} jobs done", error=True)
        if what not in self._tasks:
            from rich.markup import escape

            self._tasks[what] = self._progress.add_task(escape(printable(what)), total=there)
        self._progress.update(self._tasks[what], completed=done, total=there)
