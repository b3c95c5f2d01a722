"""Is the recommendation right? Train its settings, and others, to the goal, and look at the clock.

    headrace run experiment.toml --out runs/first
    headrace throughput experiment.toml --out runs/first
    python examples/check_recommendation.py runs/first --also 64x1 --also 2048x2 --seeds 5

Each option is a batch size on a number of real workers (processes that share each batch, one a core or a
GPU), trained with the hyperparameters that the recommendation names and fresh seeds; the options take turns,
so that whatever else the machine does meets all of them. The seconds are those of training, without
evaluations, as in the recommendation. They are written to DIR/check.csv, a row a run; what is there is not
run again.

If the recommendation rests on the luckiest of a study's trials (its basis is "search"), fresh seeds have no
such luck and need more steps; then the order of the options is what must be right.
"""

from __future__ import annotations

import argparse
import csv
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace import random
from headrace.analysis.advice import advise
from headrace.analysis.recommendation import Option
from headrace.analysis.studies import Study, read_studies
from headrace.engines._base import everywhere
from headrace.engines.local import LocalEngine
from headrace.store.experiments import load
from headrace.store.throughput import read
from headrace.trials.advance import MakeBench
from headrace.trials.rank_timing import joined

if TYPE_CHECKING:
    from headrace.specs.studies import Hyperparameters
    from headrace.trials.bench import Bench

COLUMNS = (
    "batch_size",
    "workers",
    "best_as",
    "seed",
    "steps",
    "seconds",
    "predicted_steps",
    "predicted_seconds",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--also", action="append", default=[], metavar="BATCHxWORKERS")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    stored = load(asked.directory)
    studies = {study.batch_size: study for study in read_studies(stored)}
    found = advise(stored, read(asked.directory)).found
    options = {(option.batch_size, option.workers): option for option in found.options}
    wanted = [tuple(map(int, text.split("x"))) for text in asked.also]
    wanted += [(pick.option.batch_size, pick.option.workers) for pick in found.picks.values()]
    best_as = {
        key: [aim for aim, pick in found.picks.items() if pick.option is options[key]] for key in wanted
    }
    table = asked.directory / "check.csv"
    there = {(row["batch_size"], row["workers"], row["seed"]) for row in rows(table)}
    with ExitStack() as stack:
        engines = {workers: started(stack, stored.experiment, workers) for workers in {w for _, w in best_as}}
        for seed in range(asked.seeds):
            for (size, workers), aims in best_as.items():
                if (str(size), str(workers), str(seed)) not in there:
                    steps, seconds = everywhere(
                        engines[workers], ToGoal(studies[size], seed, options[size, workers].hyperparameters)
                    )[0]
                    append(table, told(options[size, workers], aims, seed, steps, seconds))
    summarise(table)


def started(stack: ExitStack, experiment: Any, workers: int) -> LocalEngine:
    """So many worker processes that know each other."""
    engine = stack.enter_context(LocalEngine(workers).open(MakeBench.of(experiment)))
    if workers > 1:
        stack.enter_context(joined(engine))
    return engine


@dataclass(frozen=True)
class ToGoal:
    """Train to the goal; the steps, None where it was not reached, and the seconds."""

    study: Study
    seed: int
    hyperparameters: Hyperparameters

    def do(self, bench: Bench) -> tuple[int | None, float]:
        return to_goal(bench, self.study, self.seed, self.hyperparameters)


def to_goal(
    bench: Bench, study: Study, seed: int, hyperparameters: Hyperparameters
) -> tuple[int | None, float]:
    from headrace.sampling.batches import shuffled_batches
    from headrace.specs.space import split
    from headrace.training.loop import train
    from headrace.training.parallel import ProcessWorld
    from headrace.training.recipe import Recipe

    setting, workers = bench.setting, bench.place.workers
    experiment, workload = setting.experiment, setting.workload
    fresh = random.integer_seed(experiment.seed, "check", study.key.name, seed)
    with random.torch_stream(fresh, "initialisation"):
        model = workload.build_model().to(setting.device)
    spent, evaluate = 0.0, setting.evaluator("validation")

    def timed(model: Any) -> dict[str, float]:
        nonlocal spent
        start = time.perf_counter()
        metrics = evaluate(model)
        spent += time.perf_counter() - start
        return metrics

    budget = experiment.budget_steps(study.key, len(workload.train))
    values, schedule = split({**(study.best or {}), **hyperparameters})[0], experiment.training.schedule
    measurements = train(
        model=model,
        data=workload.train,
        loss=workload.loss,
        batches=shuffled_batches(
            len(workload.train), study.batch_size, seed=fresh, path=("order",), device=setting.device
        ),
        recipe=Recipe(optimizer=study.key.optimizer, schedule=schedule, **values),
        budget_steps=budget,
        evaluation_steps=experiment.evaluation_steps(budget),
        evaluate=timed,
        microbatch=experiment.training.microbatch,
        world=ProcessWorld() if workers > 1 else None,
    )
    next(measurements)
    start, spent = time.perf_counter(), 0.0
    for measured in measurements:
        if measured.metrics[f"validation/{workload.metric_name}"] < setting.goal:
            return measured.step, time.perf_counter() - start - spent
    return None, time.perf_counter() - start - spent


def told(option: Option, aims: list[str], seed: int, steps: int | None, seconds: float) -> tuple[Any, ...]:
    key = (option.batch_size, option.workers, " ".join(aims), seed)
    return (*key, steps, round(seconds, 4), round(option.steps), round(option.seconds, 4))


def summarise(table: Path) -> None:
    """The mean of each option's seconds with its 95% interval (Student's t), as Markdown."""
    from scipy.stats import t

    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows(table):
        found.setdefault((row["batch_size"], row["workers"]), []).append(row)
    print(
        "| batch size | workers | best as | predicted (s) | measured (s), 95% interval | steps | ms a step |"
    )
    print("|---|---|---|---|---|---|---|")
    ordered = sorted(found.items(), key=lambda item: float(item[1][0]["predicted_seconds"]))
    for (size, workers), some in ordered:
        first = some[0]
        seconds = np.array([float(row["seconds"]) for row in some])
        steps = np.array([float(row["steps"] or "nan") for row in some])
        half = 0.0
        if len(seconds) > 1:
            half = t.ppf(0.975, len(seconds) - 1) * seconds.std(ddof=1) / np.sqrt(len(seconds))
        measured = f"{seconds.mean():.2f} ({seconds.mean() - half:.2f} to {seconds.mean() + half:.2f})"
        cells = [
            *(size, workers, first["best_as"], f"{float(first['predicted_seconds']):.2f}", measured),
            f"{steps.mean():.0f}, predicted {first['predicted_steps']}",
            f"{1000 * (seconds / steps).mean():.1f}",
        ]
        print(f"| {' | '.join(cells)} |")


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: tuple[Any, ...]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow(row)


if __name__ == "__main__":
    main()
