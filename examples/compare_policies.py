"""Is any policy better than plain shuffling? Every policy is tuned alike, then trained with fresh seeds.

    python examples/compare_policies.py examples/compare_policies.toml --seeds 10 --out runs/policies
    headrace compare runs/policies/runs.csv --baseline shuffle --metric test_error
    headrace compare runs/policies/runs.csv --baseline shuffle --metric steps

The experiment file has one batch size, one optimizer and the policies. First `search.trials` settings are
trained to the whole budget for each policy, the same learning rates for all; the one with the lowest
validation metric at the budget is kept (`tuning.csv`). Then it is trained with fresh seeds, one row of
`runs.csv` each:

    group, seed       the policy and its run
    test_error        the test metric at the budget (of a run that diverged its last validation metric)
    steps             the first evaluated step below the goal; the budget where it was not reached
    forwarded         the examples forwarded until then, selection passes and preparation included
    trained           the examples back-propagated until then
    reached           1 where the goal was reached, else 0: the three before are then too small
    diverged          1 where the run diverged

Seeds are fresh for every policy, so the groups are not paired. The baseline may have more seeds than the
others (`--baseline-seeds`), for all of them are held against it. Seeds are the outer loop: whenever it is
interrupted, the policies have as many, but for one. Runs in the tables are not made again: the same command
goes on where it stopped, or adds seeds or policies.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import track

from headrace import random
from headrace.specs.experiment import Experiment
from headrace.specs.space import borders, split
from headrace.specs.studies import StudyKey
from headrace.specs.tables import WorkloadTable

Job = tuple[str, str, str, int]
"""What is trained: the experiment as JSON, the policy, what to call the run, and the trial."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--baseline", default="shuffle")
    parser.add_argument("--baseline-seeds", type=int, help="by default as many as the others")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    experiment = Experiment.from_toml(asked.experiment)
    if len(experiment.grid.batch_size) > 1 or len(experiment.grid.optimizer) > 1:
        parser.error("the experiment is to have one batch size and one optimizer")
    if asked.baseline not in experiment.grid.policy:
        parser.error(f"the baseline {asked.baseline} is not among the policies of the experiment")
    asked.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    seeds = dict.fromkeys(experiment.grid.policy, asked.seeds)
    seeds |= {asked.baseline: asked.baseline_seeds or asked.seeds}
    # Workers are spawned: a process that was forked with torch in it may hang.
    pool = ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn"), initializer=ignore_interrupt)
    try:
        best = tune(pool, experiment, asked.out / "tuning.csv")
        repeat(pool, experiment, best, seeds, asked.out / "runs.csv")
    except KeyboardInterrupt:
        sys.exit("Interrupted. What was finished is in the tables; the same command goes on from there.")
    finally:
        pool.shutdown(cancel_futures=True)


def ignore_interrupt() -> None:
    """In workers: Ctrl-C is for the main process, which lets what runs end and starts nothing more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def tune(pool: ProcessPoolExecutor, experiment: Experiment, path: Path) -> dict[str, int]:
    """Policy -> the trial with the lowest validation metric at the budget, ties to the first."""
    there = {(row["policy"], int(row["trial"])): float(row["validation"]) for row in read(path)}
    text = experiment.model_dump_json()
    jobs: list[Job] = [
        (text, policy, str(trial), trial)
        for trial, policy in product(range(experiment.search.trials), experiment.grid.policy)
        if (policy, trial) not in there
    ]
    for (_, policy, _, trial), found in done(pool, jobs, "tuning"):
        values = experiment.hyperparameters(study_of(experiment, policy), trial)
        append(
            path,
            {"policy": policy, "trial": trial, "validation": found["validation_error"], "values": values},
        )
        there[policy, trial] = found["validation_error"]
    best = {
        policy: min(range(experiment.search.trials), key=lambda trial: (there[policy, trial], trial))
        for policy in experiment.grid.policy
    }
    for policy, trial in best.items():
        study = study_of(experiment, policy)
        values = experiment.hyperparameters(study, trial)
        print(f"{policy}: {values}, validation {there[policy, trial]:.4f}")
        for border in borders(experiment.space_of(study), values, policy=policy):
            print(f"  {border.suggestion}")
    return best


def repeat(
    pool: ProcessPoolExecutor, experiment: Experiment, best: dict[str, int], seeds: dict[str, int], path: Path
) -> None:
    """Train the best setting of each policy with fresh seeds, and write a row for each."""
    there = {(row["group"], row["seed"]) for row in read(path)}
    jobs: list[Job] = []
    for seed, policy in product(range(max(seeds.values())), best):
        name = f"{policy}-{seed}"
        if seed < seeds[policy] and (policy, name) not in there:
            tuned = experiment.hyperparameters(study_of(experiment, policy), best[policy])
            fresh = random.integer_seed(experiment.seed, "fresh", policy, seed)
            jobs.append((fixed(experiment, policy, tuned, fresh).model_dump_json(), policy, name, 0))
    for (_, policy, name, _), found in done(pool, jobs, "fresh seeds"):
        append(path, {"group": policy, "seed": name} | found)


def fixed(experiment: Experiment, policy: str, values: dict[str, Any], seed: int) -> Experiment:
    """The experiment with this policy and these values alone, on another seed."""
    recipe, settings = split(values)
    content = experiment.model_dump()
    content["seed"] = seed
    content["grid"]["policy"] = (policy,)
    content["search"] |= {"space": recipe, "policy": {policy: settings} if settings else {}}
    return Experiment.from_dict(content)


def study_of(experiment: Experiment, policy: str) -> StudyKey:
    return next(study for study in experiment.studies() if study.configuration.policy == policy)


def train(job: Job) -> dict[str, float]:
    """Train one run to its budget, in a worker process."""
    from headrace.trials.running import BACKPROPAGATED, FORWARDED, RunningTrial

    text, policy, _, number = job
    setting = setting_of(text)
    experiment: Experiment = setting.experiment
    goal = setting.workload.goal if experiment.workload.goal is None else experiment.workload.goal
    trial = RunningTrial(setting=setting, study=study_of(experiment, policy), trial=number)
    budget = experiment.budget_steps(trial.study, len(setting.workload.train))
    trial.advance(budget, lambda: budget)
    record, metric = trial.record(), setting.workload.metric_name
    if record.error is not None:
        raise RuntimeError(f"{policy}: {record.error}")
    last = trial.rows[-1]
    first = next((row for row in trial.rows if row[f"validation/{metric}"] < goal), None)
    at_goal = first or last
    validation = last[f"validation/{metric}"]
    return {
        "validation_error": validation if record.diverged is None else math.inf,
        "test_error": last.get(f"test/{metric}", validation),
        "steps": first["step"] if first else budget,
        "forwarded": at_goal[FORWARDED],
        "trained": at_goal[BACKPROPAGATED],
        "reached": int(first is not None),
        "diverged": int(record.diverged is not None),
    }


@cache
def setting_of(text: str) -> Any:
    """What trials of one experiment share, kept for the next of them in this worker process."""
    import torch

    from headrace.trials.setting import Setting

    torch.set_num_threads(1)
    experiment = Experiment.model_validate_json(text)
    workload = workload_of(experiment.workload.model_dump_json())
    # A goal that no run reaches keeps each training to its budget, with one test at its end.
    return Setting(experiment=experiment, workload=workload, goal=-math.inf, device=torch.device("cpu"))


@cache
def workload_of(table: str) -> Any:
    """The workload, loaded once in each worker process."""
    from headrace.workloads.registry import load_workload

    asked = WorkloadTable.model_validate_json(table)
    return load_workload(asked.name, asked.settings)


def done(pool: ProcessPoolExecutor, jobs: list[Job], what: str) -> Iterable[tuple[Job, dict[str, float]]]:
    """The jobs with what was found, as they are finished, with a bar."""
    running = {pool.submit(train, job): job for job in jobs}
    for future in track(as_completed(running), description=what, total=len(jobs)):
        yield running[future], future.result()


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: dict[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
