"""Is any policy better than plain shuffling? Every policy is tuned alike, then trained with fresh seeds.

    python examples/compare_policies.py examples/compare_policies.toml --seeds 10 --out runs/policies
    headrace compare runs/policies/runs.csv --baseline shuffle --metric test_error
    headrace compare runs/policies/runs.csv --baseline shuffle --metric steps

The experiment file has the policies, and one batch size and one optimizer (with several, each combination
is a group of its own). First `search.trials` settings are
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
others (`--baseline-seeds`), because all of them are compared with it. Seeds are the outer loop: whenever it
is interrupted, the policies have equally many, or one more. Runs in the tables are not made again: the same
command continues, or adds seeds or policies.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.progress import Progress

from headrace.engines.local import LocalEngine
from headrace.experiments.replicates import Tell, groups, replicate, tune
from headrace.specs.experiment import Experiment
from headrace.specs.space import borders
from headrace.trials.advance import MakeBench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--baseline", default="shuffle")
    parser.add_argument("--baseline-seeds", type=int, help="by default as many as the others")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    experiment = Experiment.from_toml(asked.experiment)
    studies = groups(experiment)
    if asked.baseline not in studies:
        parser.error(f"the baseline {asked.baseline} must be one of {', '.join(studies)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    seeds = dict.fromkeys(studies, asked.seeds) | {asked.baseline: asked.baseline_seeds or asked.seeds}
    try:
        with LocalEngine(asked.processes) as engine, Progress() as bar:
            engine.open(MakeBench.of(experiment))
            tell = shown(bar)
            best = tune(engine, experiment, asked.out, tell)
            for group, setting in best.items():
                bar.console.print(f"{group}: {setting.values}, validation {setting.validation:.4f}")
                policy = studies[group].configuration.policy
                for border in borders(experiment.space_of(studies[group]), setting.values, policy=policy):
                    bar.console.print(f"  {border.suggestion}")
            replicate(engine, experiment, best, seeds=seeds, directory=asked.out, tell=tell)
    except KeyboardInterrupt:
        sys.exit("Interrupted. What was finished is in the tables; the same command continues from there.")


def shown(bar: Progress) -> Tell:
    """Shows what is done as a bar for each kind of work."""
    tasks = {}

    def tell(what: str, done: int, there: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=there)
        bar.update(tasks[what], completed=done)

    return tell


if __name__ == "__main__":
    main()
