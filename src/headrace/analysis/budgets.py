"""The best validation metric within a budget of steps, and within a budget of epochs.

With a step budget a study may use every evaluation at step <= budget, with an epoch budget those at
B * step <= budget * training examples. Step budgets favour large batches, epoch budgets small ones [V].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.analysis.studies import Study
from headrace.store.records import Status

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.experiments import StoredExperiment

HALVINGS = 6
"""Budgets shown: the largest that every study covers, and its halves, down to 1/64."""


def step_budgets(studies: list[Study]) -> list[int]:
    """The largest step budget that every study covers and its halves, ascending."""
    largest = min((study.budget for study in studies), default=0)
    return sorted({largest >> k for k in range(HALVINGS + 1)} - {0})


def example_budgets(studies: list[Study]) -> list[int]:
    """The largest budget of examples that every study covers and its halves, ascending."""
    largest = min((study.budget * study.batch_size for study in studies), default=0)
    return sorted({largest >> k for k in range(HALVINGS + 1)} - {0})


def budget_rows(stored: StoredExperiment, studies: list[Study]) -> list[dict[str, Any]]:
    """One row for each decided study and budget of at least one step.

    Args:
        stored: The store.
        studies: Its studies.

    Returns:
        Rows with the study's identity, kind, budget (steps, or epochs), validation, test, whole_curves.
    """
    whole = stored.experiment.training.stop == "budget"
    examples = stored.facts.train_examples if stored.facts else 1
    rows: list[dict[str, Any]] = []
    studies = [study for study in studies if study.trials]
    for study in studies:
        curves = _curves(stored, study)
        for kind, budget, steps in _limits(studies, study, examples):
            best = _best_within(curves, steps, stored.metric_name)
            rows.append(study.identity | {"kind": kind, "budget": budget, **best, "whole_curves": whole})
    return rows


def _limits(studies: list[Study], study: Study, examples: int) -> list[tuple[str, float, int]]:
    """(kind, budget, its steps in this study), where that is at least one."""
    by_steps = [("steps", float(budget), budget) for budget in step_budgets(studies)]
    by_epochs = [("epochs", e / examples, e // study.batch_size) for e in example_budgets(studies)]
    return [limit for limit in by_steps + by_epochs if limit[2] >= 1]


def _curves(stored: StoredExperiment, study: Study) -> pl.DataFrame:
    """The measurements of the trials that count: whole where every trial was trained to the budget."""
    import polars as pl

    from headrace.analysis.studies import canonical

    counted = tuple(j for j in study.trials if j.status in (Status.COMPLETE, Status.STOPPED))
    measurements = stored.study_measurements(study.key.name)
    if stored.experiment.training.stop == "budget":
        return measurements.filter(pl.col("trial").is_in([j.outcome.trial for j in counted]))
    return canonical(measurements, counted)


def _best_within(curves: pl.DataFrame, steps: int, metric: str) -> dict[str, float | None]:
    """The best validation metric up to `steps`, and the test metric of the same measurement."""
    import polars as pl

    validation, test = f"validation/{metric}", f"test/{metric}"
    rows = curves.filter((pl.col("step") <= steps) & pl.col(validation).is_finite())
    best = rows.sort(validation, "trial", "step").head(1)
    if best.is_empty():
        return {"validation": None, "test": None}
    return {"validation": best[validation][0], "test": best[test][0] if test in best.columns else None}
