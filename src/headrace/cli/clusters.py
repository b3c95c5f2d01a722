"""`headrace merge` and `headrace submit`: one experiment on several machines."""

from __future__ import annotations

from pathlib import Path

from headrace.cli._common import Json, one_process, print_json, say, working
from headrace.cli._options import APath, OptionalPath, Paths, Texts, check_number, check_processes
from headrace.cli.experiments import conclude, tell_failures


def merge(directory: APath, parts: Paths, *, processes: int | None = None, json: Json = False) -> int:
    """Put the PARTS of an experiment together in DIRECTORY, which is then as one run would have made it.

    Example: headrace merge runs/all runs/part-1-of-2 runs/part-2-of-2

    Everything is checked before anything is written. The replicates, and the portraits of the report, need
    all parts, so they are made here, on the workload. If it is interrupted, the same command continues.

    Args:
        directory: The folder to make.
        parts: The folders of all parts, in any order; they are left as they are.
        processes: How many replicates and portraits are made at the same time. Default: one per core.
    """
    from headrace.experiments.runner import complete
    from headrace.store.merging import merge as put_together

    one_process("merge")
    check_processes(processes)
    with working("checking and copying the trials"):
        put_together(directory, parts)
    stored = complete(directory, processes=processes)
    code = conclude(stored, json)
    return 1 if tell_failures(stored) else code


def submit(
    experiment: APath,
    *,
    nodes: int,
    out: OptionalPath = None,
    script: OptionalPath = None,
    sbatch: Texts = None,
    json: Json = False,
) -> int:
    """Write the script of a SLURM array whose tasks train one part of EXPERIMENT each; nothing is started.

    Example: headrace submit experiment.toml --nodes 8 --sbatch=--partition=gpu --sbatch=--time=12:00:00

    Args:
        experiment: The experiment file (TOML).
        nodes: How many parts there are, each on a node of its own.
        out: The folder of the merged experiment; parts are made next to it. Default: runs/NAME for NAME.toml.
        script: The script. Default: NAME.sbatch for NAME.toml.
        sbatch: An option of sbatch for all tasks; may be repeated.
    """
    from headrace.experiments.slurm import array_script, merge_command
    from headrace.files import write_whole
    from headrace.specs.experiment import Experiment
    from headrace.specs.shares import Share, studies_of

    one_process("submit")
    check_number("--nodes", nodes, 1, 100_000)
    asked = Experiment.from_toml(experiment)
    studies = [len(studies_of(asked, Share(number=number, of=nodes))) for number in range(1, nodes + 1)]
    folder = (out if out is not None else Path("runs") / experiment.stem).absolute()
    path = script if script is not None else Path(f"{experiment.stem}.sbatch")
    text = array_script(
        experiment.absolute(), out=folder, nodes=nodes, script=path.absolute(), options=sbatch or ()
    )
    write_whole(path, text.encode())
    last = merge_command(folder, nodes)
    if json:
        print_json({"script": str(path), "parts": nodes, "studies": studies, "merge": last})
        return 0
    say(f"Wrote {path}: {nodes} parts with {min(studies)} to {max(studies)} studies each. Start it with")
    say(f"  sbatch {path}")
    say(f"and when all its tasks are finished:\n  {last}")
    say(f"What a part takes on a node: headrace run {experiment} --part 1/{nodes} --plan")
    return 0
