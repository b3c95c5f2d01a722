"""`demo`, `run`, `status` and `report`: from an experiment file to a report."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from headrace.cli._common import Json, print_json, print_table, say, sharing, working
from headrace.cli._options import APath, OptionalPath, OptionalText, check_processes
from headrace.errors import InputError, InputErrors

if TYPE_CHECKING:
    from collections.abc import Generator

    from headrace.analysis.results import Analysis
    from headrace.specs.experiment import Experiment
    from headrace.specs.shares import Share
    from headrace.store.experiments import StoredExperiment
    from headrace.store.extending import Plan


def demo(*, out: APath = Path("runs/demo"), processes: int | None = None, json: Json = False) -> int:
    """The main job on scikit-learn's digits: does choosing examples pay, and at which batch sizes?

    Three policies at six batch sizes, on everything, on a half that an ensemble chooses and on random halves;
    each study's best setting is trained again from five fresh seeds. It ends in the verdict and the report.

    Example: headrace demo --out runs/demo

    Args:
        out: The folder of the results; a run that was interrupted resumes from there.
        processes: How many trials run at the same time. Default: one per core.
    """
    from importlib.resources import as_file, files

    from headrace.specs.experiment import Experiment

    with as_file(files("headrace.experiments") / "demo") as folder:
        file = folder / "experiment.toml"
        return _run(file, Experiment.from_toml(file), out, processes=processes, json=json)


def run(
    experiment: APath,
    *,
    out: OptionalPath = None,
    processes: int | None = None,
    engine: str = "local",
    accept_change: str | None = None,
    part: OptionalText = None,
    extend: Annotated[bool, Parameter(negative="")] = False,
    plan: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Run an experiment, or resume it; at the end OUT holds results.json and report.html.

    Example: headrace run experiment.toml --out runs/first
    Example: headrace run experiment.toml --plan

    Args:
        experiment: The experiment file (TOML).
        out: The folder of the results. Default: runs/NAME for NAME.toml.
        processes: How many trials run at the same time. Default: one per core.
        engine: Where trials are trained: "local" for processes of this machine, "inline" for this process,
            "ray" for a Ray cluster (with pip install '.[ray]').
        accept_change: Why a run may continue although the workload's code or data have changed since its
            first trials. The reason is recorded, and the report says which trials are from before.
        part: K/N, for example 3/8: train only the third of eight parts of the studies, in a folder of its
            own. `headrace merge` puts the parts together. Default folder: runs/NAME-part-K-of-N.
        extend: Extend the experiment in OUT to EXPERIMENT, which has more studies, more trials or a wider
            search space: its trials are kept, and what is missing is trained. Without it a terminal is asked.
        plan: Only say what the run would do and take: studies, trials, examples, memory, disk, and time on
            this machine after a calibration of at most half a minute. Nothing is written.
    """
    from headrace.specs.experiment import Experiment
    from headrace.specs.shares import Share

    share = None if part is None else Share.parse(part)
    suffix = "" if share is None else f"-{share.name}"
    folder = out if out is not None else Path("runs") / f"{experiment.stem}{suffix}"
    return _run(
        experiment,
        Experiment.from_toml(experiment),
        folder,
        processes=processes,
        engine=engine,
        accept_change=accept_change,
        share=share,
        extend=extend,
        plan=plan,
        json=json,
    )


def status(directory: APath, *, json: Json = False) -> int:
    """How far the experiment or the subset search in DIRECTORY is.

    Example: headrace status runs/first

    Args:
        directory: The folder of a run or of a search.
    """
    from headrace.analysis.search_results import is_search
    from headrace.store.experiments import load
    from headrace.store.live import progress_of

    if is_search(directory):
        from headrace.cli.subsets import status_search

        return status_search(directory, json=json)
    with working("reading the trials"):
        state = progress_of(directory)
    if json:
        print_json(state.to_dict())
        return 0
    columns = ("study", "trials", "of", "infeasible", "failed", "best steps", "finished")
    print_table(columns, state.rows(), title=f"{directory}: {state.summary()}")
    if any(study.failed for study in state.studies):
        tell_failures(load(directory))
    return 0


def report(directory: APath, *, json: Json = False) -> int:
    """Write report.html of DIRECTORY again, from what is stored there; of an experiment results.json too.

    Example: headrace report runs/first

    Args:
        directory: The folder of an experiment, finished or not, or of a subset search.
    """
    from headrace.analysis.search_results import is_search
    from headrace.store.experiments import load

    if is_search(directory):
        from headrace.cli.subsets import report_search

        return report_search(directory, json=json)
    return conclude(load(directory), json)


def _run(
    file: Path,
    experiment: Experiment,
    directory: Path,
    *,
    processes: int | None,
    engine: str = "local",
    accept_change: str | None = None,
    share: Share | None = None,
    extend: bool = False,
    plan: bool = False,
    json: bool,
) -> int:
    from headrace.cli.bar import Bar
    from headrace.cli.plans import announce, say_plan
    from headrace.cli.subsets import with_searched
    from headrace.engines import torchrun
    from headrace.experiments.listeners import Showing
    from headrace.experiments.plan_facts import plan_facts
    from headrace.experiments.readiness import check_workers
    from headrace.experiments.runner import follow
    from headrace.experiments.runner import run as run_experiment
    from headrace.store.live import LiveFile

    check_processes(processes)
    if accept_change is not None and not accept_change.strip():
        fix = "Say why earlier results still count."
        raise InputError("must not be empty", where="--accept-change", got=accept_change, fix=fix)
    if processes is not None and torchrun.active():
        raise InputError(
            "has no effect under torchrun", where="--processes", got=processes, fix="Leave it out."
        )
    if torchrun.active():
        try:
            check_workers(experiment)
        except InputError as error:
            raise InputErrors([error], where=str(file)) from None
    if plan:
        with _named(file):
            facts = _planned(
                experiment,
                directory,
                processes=processes,
                engine=engine,
                accept_change=accept_change,
                share=share,
            )
        print_json(facts) if json else say_plan(facts)
        return 0
    with _named(file):
        experiment = with_searched(experiment, directory, processes=processes)
    if torchrun.rank() > 0:
        with _named(file):
            follow(experiment)
        return 0
    with _named(file), LiveFile(directory) as live, Bar() as bar:
        stored = run_experiment(
            experiment,
            directory,
            processes=processes,
            listeners=[Showing(bar), Showing(live)],
            engine=engine,
            accept_change=accept_change,
            share=share,
            extend=partial(_agrees, extend),
            announce=lambda made: announce(plan_facts(made)),
        )
    code = conclude(stored, json) if share is None else _tell_part(stored, share, json)
    return 1 if tell_failures(stored) else code


def _planned(experiment: Experiment, directory: Path, **how: Any) -> dict[str, Any]:
    from headrace.experiments.plan_facts import plan_facts
    from headrace.experiments.planning import plan

    extends: list[str] = []

    def agree(plan: Plan) -> bool:
        # Nothing is written, so nobody need be asked.
        extends.extend(plan.lines())
        return True

    with sharing("calibrating") as show:
        made = plan(experiment, directory, show=show, extend=agree, **how)
        return {**plan_facts(made), "extends": extends}


def _agrees(asked: bool, plan: Plan) -> bool:
    """Show how a folder would be extended; whether that is wanted."""
    ask = not asked and sys.stdin.isatty() and sys.stderr.isatty()
    if asked or ask:
        lines = "\n".join(f"  - {line}" for line in plan.lines())
        say(f"headrace: {plan.stored.directory} is extended, which\n{lines}", error=True)
    if ask:
        say("What that takes: the same command with --plan.", error=True)
        say("Extend it? [y/N]", error=True)
    return asked or (ask and sys.stdin.readline().strip().lower() in ("y", "yes"))


def _tell_part(stored: StoredExperiment, share: Share, json: bool) -> int:
    """What was trained in a part's folder; conclusions need all parts."""
    studies = [study.name for study in stored.studies()]
    if json:
        print_json({"part": share.number, "of": share.of, "studies": studies, "finished": True})
        return 0
    of = len(stored.experiment.studies())
    say(
        f"Part {share} is finished: {len(studies)} of {of} studies are decided in {stored.directory}. When "
        f"all are finished, put them together: headrace merge DIR and the folders of the {share.of} parts."
    )
    return 0


@contextmanager
def _named(file: Path) -> Generator[None]:
    """What is found wrong with an experiment once its workload is known carries the file's name."""
    try:
        yield
    except InputErrors as errors:
        raise InputErrors(errors.errors, where=str(file)) from None
    except InputError as error:
        # From a worker process only its text came over.
        if error.where is None:
            raise error.within(str(file)) from None
        raise


def tell_failures(stored: StoredExperiment) -> bool:
    """Name the trials that raised an error, on standard error."""
    from headrace.cli.failures import failure_lines
    from headrace.store.replicates import failed

    lines = failure_lines([*stored.records, *failed(stored)])
    if lines:
        shown = "\n".join(f"  - {line}" for line in lines)
        say(
            f"headrace: trials failed with an error and do not count:\n{shown}\n"
            "Fix the cause and give the same command again: only these trials are repeated.",
            error=True,
        )
    return bool(lines)


def conclude(stored: StoredExperiment, json: bool) -> int:
    """Write results.json and the report, and show the conclusions; the exit code."""
    with working("writing the report"):
        from headrace.analysis.results import analyse, write_results
        from headrace.report import write_report

        analysis = analyse(stored)
        write_results(analysis, stored.directory)
        page = write_report(analysis, stored.directory)
    if json:
        print_json(analysis.results)
    else:
        _print_conclusions(analysis, page)
    return 0


def _print_conclusions(analysis: Analysis, page: Path) -> None:
    """The verdict on a grid, or the conclusions, and the warnings."""
    said = analysis.results["conclusions"]
    if analysis.grid:
        say(f"{analysis.grid.headline}\n")
        shown = [*(line.text for line in analysis.grid.lines), *analysis.results["warnings"]]
    else:
        shown = analysis.opening
    for sentence in shown:
        say(f"- {sentence}")
    left = sum(sentence not in shown for sentence in said)
    more = f"{left} more conclusions, about one curve each, are in it and in results.json." if left else ""
    say(f"\nThe report: {page}" + (f"\n{more}" if more else ""))
