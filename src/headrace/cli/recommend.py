"""`throughput` and `recommend`: what a step costs here, and which batch size and workers pay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from headrace.cli._common import INTERRUPTED, Json, counting, one_process, print_json, print_table, say
from headrace.cli._options import MOST_WORKERS, APath, OptionalPath, check_number
from headrace.errors import InputError

if TYPE_CHECKING:
    from headrace.analysis.advice import Advice
    from headrace.specs.experiment import Experiment


def throughput(
    experiment: APath,
    *,
    out: OptionalPath = None,
    workers: Annotated[list[int] | None, Parameter(negative="")] = None,
    seconds: float = 1.0,
    json: Json = False,
) -> int:
    """Measure the time of a step at the experiment's batch sizes, on this machine, into OUT/throughput.json.

    Example: headrace throughput experiment.toml --out runs/first --workers 1 --workers 2

    Args:
        experiment: The experiment file (TOML).
        out: The folder of the run. Default: runs/NAME for NAME.toml.
        workers: The numbers of workers, one GPU or core each. Default: 1, 2, 4, .. and as many as there are.
        seconds: About how long each batch size is timed on each number of workers.
    """
    from headrace.analysis.throughput import throughput_summary
    from headrace.specs.experiment import Experiment
    from headrace.store.experiments import read_facts
    from headrace.store.throughput import write
    from headrace.trials.throughput import count_points, machine_workers, measure

    one_process("throughput")
    check_number("--workers", workers, 1, MOST_WORKERS)
    check_number("--seconds", seconds, 0.001, 86_400)
    asked = Experiment.from_toml(experiment)
    folder = out if out is not None else Path("runs") / experiment.stem
    _check_folder(asked, folder)
    counts = workers or machine_workers(asked.training.device)
    try:
        with counting(count_points(asked, counts)) as tell:
            measured = measure(
                asked, workers=counts, seconds=seconds, progress=tell, expected=read_facts(folder)
            )
    except KeyboardInterrupt:
        say("headrace: interrupted; nothing was written, the same command starts again", error=True)
        return INTERRUPTED
    path = write(folder, measured)
    summary = throughput_summary(measured)
    if json:
        print_json(summary)
        return 0
    columns = ("optimizer", "batch size", "workers", "ms per step", "low", "high", "examples/s", "peak MiB")
    print_table(columns, summary["rows"], title=f"{measured.workload} on {measured.device}")
    for sentence in summary["words"]:
        say(sentence)
    say(f"\nMeasured times: {path}")
    return 0


def _check_folder(asked: Experiment, folder: Path) -> None:
    """Refuse the folder of a run on another workload: its step times would be taken for that run's."""
    from headrace.store.experiments import read_experiment

    if not (folder / "experiment.toml").is_file():
        return
    there = read_experiment(folder).workload
    if not there.same_data(asked.workload):
        raise InputError(
            "this is the folder of a run on another workload",
            where=str(folder),
            got=there.described,
            fix="Give another folder with --out.",
        )


def recommend(
    directory: APath,
    *,
    workers: Annotated[list[int] | None, Parameter(negative="")] = None,
    json: Json = False,
) -> int:
    """Which batch size, on how many workers, reaches the goal fastest, at the least cost, and the knee.

    Example: headrace recommend runs/first --workers 1 --workers 2

    Args:
        directory: The folder of a run, finished or not.
        workers: The numbers of workers to consider. Default: those whose step times were measured.
    """
    from headrace.analysis.advice import advise
    from headrace.store.experiments import load
    from headrace.store.throughput import read

    check_number("--workers", workers, 1, MOST_WORKERS)
    advice = advise(load(directory), read(directory), workers=workers)
    if json:
        print_json(advice.to_dict())
    else:
        _print_advice(advice)
    return 0


def _print_advice(advice: Advice) -> None:
    from headrace.analysis.advice_words import table

    columns = (
        "option",
        "best as",
        "time (s)",
        "interval",
        "cost (device s)",
        "steps",
        "ms per step",
        "step time",
        *(("batch (tokens)", "tokens") if advice.tokens is not None else ()),
    )
    print_table(
        columns,
        table(advice.found, advice.tokens),
        title="The frontier: no other option beats these in time and cost",
    )
    say(f"\n{advice.paragraph}")
