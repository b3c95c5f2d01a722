"""From a store to its results: `analyse` and `write_results`.

Only canonical data enter: each trial as `headrace.store.bound.judge` has it, and its
measurements up to the step that counts. So results.json is the same, byte for byte, regardless of what was
interrupted, resumed, or spread over processes. What a run cost in seconds is not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.analysis import noise_course
from headrace.analysis.advice import Advice, advise
from headrace.analysis.alternatives import Alternatives, alternatives
from headrace.analysis.asked import Asked, asked
from headrace.analysis.budgets import budget_rows
from headrace.analysis.conclusions import conclude, warn
from headrace.analysis.curves import CurveFit, fit_curves
from headrace.analysis.frames import (
    best_frame,
    budgets_frame,
    courses_frame,
    fits_frame,
    steps_frame,
    trials_frame,
)
from headrace.analysis.grid import Grid, grid_of
from headrace.analysis.hyperparameters import effective_learning_rate
from headrace.analysis.opening import opening
from headrace.analysis.origins import warn_of_changes
from headrace.analysis.portraits import Reading, portrait_results, read
from headrace.analysis.replicate_verdicts import Cell, verdicts
from headrace.analysis.replicate_words import warn_of_replicates
from headrace.analysis.replicates import Replicated, finished, read_replicates, study_results
from headrace.analysis.rounding import rounded
from headrace.analysis.sharing import own, say_shared, shared_with, trained
from headrace.analysis.studies import Curve, Study, read_studies
from headrace.analysis.tuned import tuned_of
from headrace.errors import DamagedError, InputError
from headrace.files import guarded, write_whole
from headrace.specs.tables import Replicates
from headrace.store import noise_course as stored_noise
from headrace.store import throughput
from headrace.store.portraits import portraits
from headrace.store.records import Status

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.experiments import StoredExperiment

FORMAT = 1
RESULTS = "results.json"


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
        asked: What was run.
        advice: Which batch size on how many workers, or why nothing can be recommended; None where no
            step times were measured.
        grid: The verdict on all studies together; None without replicates, or if only the batch size varies.
        noise: Every trial whose noise scale was measured, with the measured critical batch size.
        replicated: Study -> its fresh runs; empty if none were asked for.
        verdicts: Every comparison of fresh runs.
        courses: How the best trial of each study was trained, or the nearest to the goal where none reached
            it, one row a measurement: study, optimizer, subset, policy, workers, batch_size, trial, step,
            examples (back-propagated), train_loss, validation_loss, validation, test (the metric); null
            where not measured. None if not read.
        alternatives: What carrying settings by rules would have cost, and optimizers against each other.
    """

    results: dict[str, Any]
    steps: pl.DataFrame
    fits: pl.DataFrame
    trials: pl.DataFrame
    best_hyperparameters: pl.DataFrame
    budgets: pl.DataFrame
    portraits: tuple[Reading, ...] = ()
    asked: Asked = field(default_factory=Asked)
    advice: Advice | str | None = None
    grid: Grid | None = None
    noise: tuple[noise_course.Comparison, ...] = ()
    replicated: Mapping[str, Replicated] = field(default_factory=dict)
    verdicts: tuple[Cell, ...] = ()
    courses: pl.DataFrame | None = None
    alternatives: Alternatives = field(default_factory=Alternatives)

    @property
    def opening(self) -> list[str]:
        """The conclusions that a report opens with, and the warnings."""
        warnings = self.results.get("warnings", [])
        said = [text for text in self.results["conclusions"] if text not in warnings]
        rows = self.steps.select("optimizer", "subset", "policy", "workers").iter_rows()
        curves: list[Curve] = list(rows)
        return [*opening(said, curves), *warnings]

    @property
    def later(self) -> list[str]:
        """The conclusions about one curve each, if there are too many to open with."""
        opened = self.opening
        return [text for text in self.results["conclusions"] if text not in opened]

    @property
    def metric(self) -> str:
        """The name of the validation metric."""
        return str(self.results.get("goal_metric", "validation/error")).removeprefix("validation/")


def analyse(stored: StoredExperiment) -> Analysis:
    """The analysis of a store, finished or not; studies that are not decided yet are left out and named.

    Args:
        stored: From `headrace.store.experiments.load`.

    Raises:
        DamagedError: A stored part, or a measurement that is stored next to the studies, was altered.
    """
    studies = read_studies(stored)
    curves = fit_curves(studies)
    replicated = read_replicates(stored, studies)
    cells = verdicts(replicated, _sizes(stored))
    grid = grid_of(stored, replicated)
    stored_portraits = portraits(stored)
    readings = tuple(read(portrait) for portrait in stored_portraits if portrait.portrait.error is None)
    failed = [portrait.portrait for portrait in stored_portraits if portrait.portrait.error is not None]
    looked_into = {"portraits": rounded(portrait_results(readings, failed))}
    others = alternatives(stored, [curve for curve in curves if own(stored, curve.studies)])
    results = _results(stored, studies, curves, replicated, cells, others=others) | looked_into
    if grid is not None:
        results["grid"] = grid.to_dict()
    return Analysis(
        results=results,
        steps=steps_frame(studies),
        fits=fits_frame(curves),
        trials=trials_frame(studies, stored.metric_name),
        best_hyperparameters=best_frame(studies),
        budgets=budgets_frame(budget_rows(stored, studies)),
        portraits=readings,
        asked=asked(stored),
        advice=_advice(stored, studies, curves),
        grid=grid,
        noise=_noise(stored, results),
        replicated=replicated,
        verdicts=tuple(cells),
        courses=courses_frame(studies, stored.metric_name),
        alternatives=others,
    )


def _advice(
    stored: StoredExperiment, studies: Sequence[Study], curves: Sequence[CurveFit]
) -> Advice | str | None:
    """The recommendation of measured step times; where there is none, the rest of the results stands."""
    measured = throughput.read(stored.directory)
    if measured is None:
        return None
    try:
        surfaces = {curve.curve: curve.surface for curve in curves}
        return advise(stored, measured, studies=studies, surfaces=surfaces)
    except DamagedError:
        raise
    except InputError as error:
        # No study reached the goal, or the times are of something else.
        return str(error)


def _noise(stored: StoredExperiment, results: Mapping[str, Any]) -> tuple[noise_course.Comparison, ...]:
    measured = stored_noise.read(stored.directory)
    courses = () if measured is None else measured.courses
    return tuple(noise_course.compare(course, results) for course in courses)


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


def _sizes(stored: StoredExperiment) -> dict[str, int]:
    """Subset of the grid -> its size."""
    facts = stored.facts
    return {name: facts.examples_in(name) for name in stored.experiment.grid.subset} if facts else {}


def _results(
    stored: StoredExperiment,
    studies: Sequence[Study],
    curves: Sequence[CurveFit],
    replicated: Mapping[str, Replicated],
    cells: Sequence[Cell],
    *,
    others: Alternatives,
) -> dict[str, Any]:
    decided = all(study.decided is not None for study in studies)
    tokens = stored.facts.tokens_per_example if stored.facts else None
    warnings = [
        *warn_of_changes(stored.facts, [record.fingerprint for record in stored.records]),
        *warn(
            own(stored, studies),
            asked=stored.experiment.search.trials,
            metric=f"validation/{stored.metric_name}",
            goal=stored.goal,
        ),
        *warn_of_replicates(_asked_for(stored), trained(replicated), decided),
    ]
    told = [curve for curve in curves if own(stored, curve.studies)]
    said = conclude(told, _sizes(stored), trained(replicated), cells, tokens)
    return {
        "format": FORMAT,
        **({} if tokens is None else {"tokens_per_example": tokens}),
        "workload": stored.experiment.workload.name,
        "goal": stored.goal,
        "goal_metric": f"validation/{stored.metric_name}",
        "seed": stored.experiment.seed,
        "subsets": {name: {"examples": size} for name, size in _sizes(stored).items()},
        "finished": decided,
        "studies": [
            _study(study, stored.metric_name)
            | _in_tokens(study, tokens)
            | _tuned(study, curves)
            | _fresh(study, replicated)
            | shared_with(study, stored)
            | _packed(study, stored)
            for study in studies
        ],
        "scaling": [_curve(curve) for curve in curves],
        "conclusions": [*said, *others.said(), *say_shared(stored), *warnings],
        "warnings": warnings,
        **_replicates(stored, replicated, cells),
        **others.to_dict(),
    }


def _asked_for(stored: StoredExperiment) -> Replicates | None:
    """The fresh runs that a folder should hold: a share of the studies has none before it is merged."""
    return None if stored.share is not None else stored.experiment.replicates


def _fresh(study: Study, replicated: Mapping[str, Replicated]) -> dict[str, Any]:
    """The fresh runs of a study; no key in experiments that ask for none."""
    found = replicated.get(study.key.name)
    return {} if found is None else {"replicates": study_results(found)}


def _replicates(
    stored: StoredExperiment, replicated: Mapping[str, Replicated], cells: Sequence[Cell]
) -> dict[str, Any]:
    asked = _asked_for(stored)
    if asked is None:
        return {}
    return {
        "replicates": {
            "seeds": asked.seeds,
            "until": asked.until,
            "finished": finished(asked, replicated),
            "runs": sum(len(one.runs) for one in trained(replicated).values()),
            "verdicts": [cell.to_dict() for cell in cells],
        }
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


def _in_tokens(study: Study, tokens: float | None) -> dict[str, Any]:
    """Tokens to result next to examples to result, if tokens are the unit."""
    if tokens is None:
        return {}
    cost, size = study.to_result, study.key.configuration.batch_size
    ends = (study.result.steps, study.result.high)
    return {
        "batch_tokens": _worth(size, tokens),
        "tokens_to_result": _worth(cost.backpropagated, tokens) if cost else None,
        "tokens_interval": [None if steps is None else _worth(steps * size, tokens) for steps in ends],
        "tokens_trained": _worth(study.total.backpropagated, tokens),
    }


def _worth(examples: int, tokens: float) -> float:
    """How many tokens some examples have: exact where all have as many."""
    return examples * int(tokens) if tokens.is_integer() else rounded(examples * tokens)


def _packed(study: Study, stored: StoredExperiment) -> dict[str, Any]:
    """How many trials were trained as one; no key where each was trained by itself."""
    name = stored.shared.get(study.key.name, study.key.name)
    pack = stored.facts.packs.get(name, 1) if stored.facts else 1
    return {"pack": pack} if pack > 1 else {}


def _tuned(study: Study, curves: Sequence[CurveFit]) -> dict[str, Any]:
    """Steps at the best learning rate, by all trials of the curve; null if nothing shows them."""
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
