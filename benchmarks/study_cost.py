"""What the race saves: SGD against Nesterov on digits, against an Optuna loop that trains to the budget.

The peer draws with Optuna's quasi-random sampler; the hyperparameters of our trials are enqueued in
it, so that both train the very same trials with the same training code, on as many processes.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from headrace.experiments.runner import run as run_experiment
from headrace.specs.experiment import Experiment
from headrace.store.bound import Rules, judge
from headrace.store.records import Outcome, TrialRecord

DESCRIPTION = (
    "SGD against Nesterov on digits: the race against an Optuna loop that trains every trial to its budget"
)

EXAMPLE = Path(__file__).parent.parent / "examples/sgd_and_nesterov.toml"

Best = dict[str, tuple[int, int] | None]
"""Study -> (S(B), best trial), None where the goal was not reached."""


def example(**changes: Any) -> Experiment:
    """The example's experiment, some of its keys changed: `{"training": {"stop": "budget"}}`."""
    content = Experiment.from_toml(EXAMPLE).model_dump(exclude_none=True)
    for table, keys in changes.items():
        content[table] = {**content[table], **keys}
    return Experiment.from_dict(content)


def run(
    *, processes: int = 2, batch_sizes: list[int] | None = None, trials: int | None = None
) -> dict[str, Any]:
    """Run both, one after the other; smaller with other `batch_sizes` or fewer `trials`.

    Returns:
        Seconds and examples trained of both, and whether S(B) and the best trials are the same.
    """
    changes: dict[str, dict[str, Any]] = {"grid": {"batch_size": batch_sizes}} if batch_sizes else {}
    changes |= {"search": {"trials": trials}} if trials else {}
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        stored = run_experiment(example(**changes), Path(directory) / "run", processes=processes)
        ours = time.perf_counter() - start
        judged = {study.name: stored.judgement(study) for study in stored.experiment.studies()}
    our_best: Best = {name: (j.best[0] if j and j.best else None) for name, j in judged.items()}
    our_examples = sum(record.examples_backpropagated for record in stored.records)
    start = time.perf_counter()
    peer_best, peer_examples = optuna_loop(changes, processes)
    peer = time.perf_counter() - start
    return {
        "measured": f"{len(judged)} studies, wall seconds on {processes} processes",
        "unit": "s",
        "ours": ours,
        "peer": peer,
        "ratio": peer / ours,
        "examples": {"ours": our_examples, "peer": peer_examples, "ratio": peer_examples / our_examples},
        "identical_steps_to_result_and_best_trials": our_best == peer_best,
    }


def optuna_loop(changes: dict[str, dict[str, Any]], processes: int) -> tuple[Best, int]:
    """Every study of the experiment by Optuna, a study a task."""
    changes = {**changes, "training": {"stop": "budget"}}
    studies = len(example(**changes).studies())
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_one_thread)
    with pool:
        results = list(pool.map(_optuna_study, [changes] * studies, reversed(range(studies))))
    return {name: best for name, best, _ in results}, sum(examples for *_, examples in results)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@cache
def _workload(name: str) -> Any:
    from headrace.workloads.registry import load_workload

    return load_workload(name, {})


def _optuna_study(changes: dict[str, dict[str, Any]], number: int) -> tuple[str, tuple[int, int] | None, int]:
    """One study: trials to their budget until as many as asked have not diverged."""
    import optuna
    import torch

    from headrace.trials.running import RunningTrial
    from headrace.trials.setting import Setting

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    experiment = example(**changes)
    key, search = experiment.studies()[number], experiment.search
    workload = _workload(experiment.workload.name)
    device = torch.device("cpu")
    setting = Setting(experiment=experiment, workload=workload, goal=workload.goal, device=device)
    budget = experiment.budget_steps(key, len(workload.train))
    records: dict[int, TrialRecord] = {}

    def objective(trial: optuna.Trial) -> float:
        for name, entry in experiment.space_of(key).items():
            trial.suggest_float(name, entry.low, entry.high)
        running = RunningTrial(setting=setting, study=key, trial=trial.number)
        running.advance(budget, lambda: budget)
        records[trial.number] = record = running.record()
        return float("inf") if record.reached is None else record.reached

    study = optuna.create_study(sampler=optuna.samplers.QMCSampler(qmc_type="halton", scramble=True, seed=0))
    while (
        sum(_complete(record) for record in records.values()) < search.trials and len(records) < search.limit
    ):
        study.enqueue_trial(experiment.hyperparameters(key, len(records)))
        study.optimize(objective, n_trials=1)
    rules = Rules(asked=search.trials, limit=search.limit, rank=experiment.rank, budget=budget)
    judged = judge(dict(records), rules)
    best = judged.best[0] if judged and judged.best else None
    return key.name, best, sum(record.examples_backpropagated for record in records.values())


def _complete(record: Outcome) -> bool:
    return record.reached is not None or (record.diverged is None and not record.failed)
