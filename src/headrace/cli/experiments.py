"""`demo`, `run`, `status` and `report`: from an experiment file to a report."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli._common import Json, print_json, print_table

if TYPE_CHECKING:
    from headrace.analysis.results import Analysis
    from headrace.experiments import Experiment


def demo(*, out: Path = Path("runs/demo"), processes: int | None = None, json: Json = False) -> int:
    """The main job on scikit-learn's digits: SGD and Nesterov over nine batch sizes, then the report.

    Example: headrace demo --out runs/demo

    Args:
        out: The folder of the results; a run that was interrupted goes on from there.
        processes: How many trials run side by side. Default: one per core.
    """
    from headrace.experiments import Experiment

    with as_file(files("headrace.experiments") / "demo.toml") as file:
        return _run(Experiment.from_toml(file), out, processes, json)


def run(
    experiment: Path, *, out: Path | None = None, processes: int | None = None, json: Json = False
) -> int:
    """Run an experiment, or go on with it; at the end OUT holds results.json and report.html.

    Example: headrace run experiment.toml --out runs/first

    Args:
        experiment: The experiment file (TOML).
        out: The folder of the results. Default: runs/NAME for NAME.toml.
        processes: How many trials run side by side. Default: one per core.
    """
    from headrace.experiments import Experiment

    folder = out if out is not None else Path("runs") / experiment.stem
    return _run(Experiment.from_toml(experiment), folder, processes, json)


def status(directory: Path, *, json: Json = False) -> int:
    """How far the experiment in DIRECTORY is.

    Example: headrace status runs/first

    Args:
        directory: The folder of a run.
    """
    from headrace.experiments.progress import progress_of

    state = progress_of(directory)
    if json:
        print_json(state.to_dict())
        return 0
    columns = ("study", "trials", "of", "infeasible", "failed", "best steps", "finished")
    print_table(columns, state.rows(), title=f"{directory}: {state.summary()}")
    return 0


def report(directory: Path, *, json: Json = False) -> int:
    """Write results.json and report.html of DIRECTORY again, from what is stored there.

    Example: headrace report runs/first

    Args:
        directory: The folder of a run, finished or not.
    """
    return _conclude(directory, json)


def _run(experiment: Experiment, directory: Path, processes: int | None, json: bool) -> int:
    from headrace.experiments.bar import Bar
    from headrace.experiments.runner import run as run_experiment

    with Bar() as bar:
        run_experiment(experiment, directory, processes=processes, progress=bar)
    return _conclude(directory, json)


def _conclude(directory: Path, json: bool) -> int:
    from headrace.analysis.results import analyse, write_results
    from headrace.experiments.store import load
    from headrace.report import write_report

    analysis = analyse(load(directory))
    write_results(analysis, directory)
    page = write_report(analysis, directory)
    if json:
        print_json(analysis.results)
    else:
        _print_conclusions(analysis, page)
    return 0


def _print_conclusions(analysis: Analysis, page: Path) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for sentence in analysis.results["conclusions"]:
        console.print(f"- {sentence}", markup=False)
    console.print(f"\nThe report: {page}", markup=False, soft_wrap=True)
