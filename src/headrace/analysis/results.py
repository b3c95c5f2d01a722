"""From a store to its results: `analyse` and `write_results`.

Only canonical data enter: each trial as `headrace.store.bound.judge` has it, and its
measurements up to the step that counts. So results.json is the same, byte for byte, whatever was
interrupted, resumed, or spread over processes. What a run cost in seconds is not part of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.analysis.budgets import budget_rows
from headrace.analysis.conclusions import conclude, warn
from headrace.analysis.curves import CurveFit, fit_curves
from headrace.analysis.frames import best_frame, budgets_frame, fits_frame, steps_frame, trials_frame
from headrace.analysis.hyperparameters import effective_learning_rate
from headrace.analysis.origins import warn_of_changes
from headrace.analysis.portraits import Reading, portrait_results, read
from headrace.analysis.studies import Study, read_studies
from headrace.analysis.tuned import tuned_of
from headrace.files import guarded, write_whole
from headrace.store.portraits import portraits
from headrace.store.records import Status

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.experiments import StoredExperiment

FORMAT = 1
RESULTS = "results.json"
DIGITS = 6
"""Significant digits of what is computed: beyond them, platforms may differ."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All that the report shows; only canonical data, so equal for any order of execution.

    Attributes:
        results: The object of results.json; infinite numbers are None.
        steps: One row a study: study, optimizer, subset, policy, workers, batch_size, steps, low, high,
            examples (back-propagated), examples_forwarded, forwarded_low, forwarded_high (of the trials
            within the interval), best_trial, complete, infeasible, stopped, failed. `steps` is null where
            no trial reached the goal; `high` is null where it may lie beyond the budget.
        fits: One row a curve (optimizer, subset, policy, workers): steps_min, steps_min_low, steps_min_high,
            critical_batch_size, low, high, perfect_scaling_limit, perfect_scaling_low, perfect_scaling_high,
            perfect_scaling_is_largest_tested, max_useful_batch_size, max_useful_low, max_useful_high,
            max_useful_is_largest_tested, residual_scatter, points. Infinite where a side is not bounded;
            null where a curve has too few points for a fit.
        trials: One row a judged trial: study, optimizer, subset, policy, workers, batch_size, trial, status,
            reached, trained, the hyperparameters (null where absent), effective_learning_rate, best (bool),
            and the last validation metric (column `validation`).
        best_hyperparameters: One row a study with a point: study, optimizer, subset, policy, workers,
            batch_size, the hyperparameters of its best trial, effective_learning_rate, on_border (names).
        budgets: Best validation metric of a study within a budget, and the test metric of the same
            measurement: study, optimizer, subset, policy, workers, batch_size, kind ("steps" or "epochs"),
            budget, validation, test, whole_curves (bool; False: trials were stopped, so that a value is
            only what was seen up to the goal).
        portraits: One a policy, of those that are stored; see `headrace.store.portraits`.
    """

    results: dict[str, Any]
    steps: pl.DataFrame
    fits: pl.DataFrame
    trials: pl.DataFrame
    best_hyperparameters: pl.DataFrame
    budgets: pl.DataFrame
    portraits: tuple[Reading, ...] = ()


def analyse(stored: StoredExperiment) -> Analysis:
    """The analysis of a store, finished or not; studies that are not decided yet are left out and named.

    Args:
        stored: From `headrace.store.experiments.load`.

    Raises:
        DamagedError: A stored part is truncated or was altered.
    """
    studies = read_studies(stored)
    curves = fit_curves(studies)
    sat = portraits(stored)
    readings = tuple(read(portrait) for portrait in sat if portrait.portrait.error is None)
    failed = [portrait.portrait for portrait in sat if portrait.portrait.error is not None]
    told = {"portraits": rounded(portrait_results(readings, failed))}
    return Analysis(
        results=_results(stored, studies, curves) | told,
        steps=steps_frame(studies),
        fits=fits_frame(curves),
        trials=trials_frame(studies, stored.metric_name),
        best_hyperparameters=best_frame(studies),
        budgets=budgets_frame(budget_rows(stored, studies)),
        portraits=readings,
    )


def write_results(analysis: Analysis, directory: str | Path) -> Path:
    """Write results.json whole or not at all; equal results give equal bytes.

    Args:
        analysis: What `analyse` returned.
        directory: The folder of the run.

    Returns:
        The file.

    Raises:
        StorageError: The disk is full, or the file cannot be written.
    """
    text = json.dumps(analysis.results, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path = Path(directory) / RESULTS
    with guarded(directory, make=True):
        write_whole(path, (text + "\n").encode())
    return path


def _results(
    stored: StoredExperiment, studies: Sequence[Study], curves: Sequence[CurveFit]
) -> dict[str, Any]:
    facts = stored.facts
    warnings = [
        *warn_of_changes(facts, [record.fingerprint for record in stored.records]),
        *warn(studies, asked=stored.experiment.search.trials),
    ]
    examples = {name: facts.examples_in(name) for name in stored.experiment.grid.subset} if facts else {}
    return {
        "format": FORMAT,
        "workload": stored.experiment.workload.name,
        "goal": stored.goal,
        "goal_metric": f"validation/{stored.metric_name}",
        "seed": stored.experiment.seed,
        "subsets": {name: {"examples": size} for name, size in examples.items()},
        "finished": all(study.decided is not None for study in studies),
        "studies": [_study(study, stored.metric_name) | _tuned(study, curves) for study in studies],
        "scaling": [_curve(curve) for curve in curves],
        "conclusions": [*conclude(curves, examples), *warnings],
        "warnings": warnings,
    }


def _study(study: Study, metric: str) -> dict[str, Any]:
    result, cost, total = study.result, study.to_result, study.total
    return {
        "optimizer": study.key.optimizer,
        "configuration": study.key.configuration.model_dump(),
        "hyperparameters": list(study.tuned),
        "steps_to_result": result.steps,
        "examples_to_result": cost.backpropagated if cost else None,
        "examples_forwarded_to_result": cost.forwarded if cost else None,
        "interval": [result.steps, result.high],
        "best_trial": _best_trial(study, metric),
        "trials": {status.value.lower(): study.count(status) for status in Status},
        "examples_trained": total.backpropagated,
        "examples_forwarded": total.forwarded,
        "budget_steps": study.budget,
        "decided_at_step": study.decided,
    }


def _tuned(study: Study, curves: Sequence[CurveFit]) -> dict[str, Any]:
    """Steps at the best learning rate, by all trials of the curve; null if nothing tells them."""
    surface = next((curve.surface for curve in curves if curve.curve == study.curve), None)
    found = tuned_of(study, surface)
    steps, ends = (None, (None, None)) if found is None else found
    return {"tuned_steps": _four(steps), "tuned_interval": [_four(end) for end in ends]}


def _four(value: float | None) -> float | None:
    """Four digits: no more of an optimum found by descent are the same on every machine."""
    return None if value is None else float(f"{value:.4g}")


def _best_trial(study: Study, metric: str) -> dict[str, Any] | None:
    """The best trial with its metrics at the goal."""
    trial = study.result.best_trial
    if trial is None or study.best is None:
        return None
    at_goal = study.last.get(trial, {})
    return {
        "trial": trial,
        "hyperparameters": study.best,
        "effective_learning_rate": rounded(effective_learning_rate(study.key.optimizer, study.best)),
        "on_border": [
            {"name": border.name, "side": border.side, "limit": border.limit, "suggestion": border.suggestion}
            for border in study.borders
        ],
        "validation": rounded(at_goal.get(f"validation/{metric}")),
        "test": rounded(at_goal.get(f"test/{metric}")),
    }


def _curve(curve: CurveFit) -> dict[str, Any]:
    names = dict(zip(("optimizer", "subset", "policy", "workers"), curve.curve, strict=True))
    fit, rules = curve.fit, curve.rules
    found: dict[str, Any] = rounded(fit.to_dict()) if fit else dict.fromkeys(_FITTED)
    slope = None if rules is None else rounded(vars(rules))
    return {**names, **found, "points": len(curve.points), "learning_rate": slope}


_FITTED = (
    "steps_min",
    "critical_batch_size",
    "interval",
    "perfect_scaling_limit",
    "max_useful_batch_size",
)
"""What is null where a curve has too few points for a fit."""


def rounded(value: Any) -> Any:
    """Floats to `DIGITS` significant digits, and null where they are not finite; tuples as lists."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value
