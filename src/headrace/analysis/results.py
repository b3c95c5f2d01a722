"""From a store to its results: `analyse` and `write_results`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All that the report shows; only canonical data, so equal for any order of execution.

    Attributes:
        results: The object of results.json; infinite numbers are None.
        steps: One row a study: study, optimizer, subset, policy, workers, batch_size, steps, low, high,
            examples, best_trial, complete, infeasible, stopped, failed. `steps` is null where no trial
            reached the goal; `high` is null where it may lie beyond the budget.
        fits: One row a curve (optimizer, subset, policy, workers): steps_min, steps_min_low, steps_min_high,
            critical_batch_size, low, high, perfect_scaling_limit, perfect_scaling_is_largest_tested,
            max_useful_batch_size, max_useful_is_largest_tested, residual_scatter, points. Infinite where a
            side is not bounded; null where a curve has too few points for a fit.
        trials: One row a counted trial: study, optimizer, subset, policy, workers, batch_size, trial, status,
            reached, trained, the hyperparameters (null where absent), best (bool), and the last validation
            metric (column `validation`).
        best_hyperparameters: One row a study with a point: optimizer, subset, policy, workers, batch_size,
            the hyperparameters of its best trial, effective_learning_rate, on_border (list of names).
        budgets: Best validation metric of a study within a budget, and the test metric of the same
            measurement: study, optimizer, subset, policy, workers, batch_size, kind ("steps" or "epochs"),
            budget, validation, test, whole_curves (bool).
    """

    results: dict[str, Any]
    steps: pl.DataFrame
    fits: pl.DataFrame
    trials: pl.DataFrame
    best_hyperparameters: pl.DataFrame
    budgets: pl.DataFrame
