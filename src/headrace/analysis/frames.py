"""The tables that figures are drawn from; `headrace.analysis.results.Analysis` describes their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headrace.analysis.curves import CurveFit
from headrace.analysis.hyperparameters import effective_learning_rate
from headrace.analysis.studies import Study
from headrace.store.records import Status

if TYPE_CHECKING:
    import polars as pl


def _types() -> dict[str, Any]:
    import polars as pl

    texts = ("study", "optimizer", "subset", "policy", "status", "kind")
    counts = (
        "workers",
        "batch_size",
        "steps",
        "low",
        "high",
        "examples",
        "examples_forwarded",
        "forwarded_low",
        "forwarded_high",
        "best_trial",
        "trial",
        "step",
        "reached",
        "trained",
    )
    flags = ("best", "whole_curves", "perfect_scaling_is_largest_tested", "max_useful_is_largest_tested")
    return (
        dict.fromkeys(texts, pl.String)
        | dict.fromkeys(counts, pl.Int64)
        | dict.fromkeys([status.value.lower() for status in Status] + ["points"], pl.Int64)
        | dict.fromkeys(flags, pl.Boolean)
        | {"on_border": pl.List(pl.String)}
    )


def _frame(rows: Sequence[dict[str, Any]], columns: Sequence[str], **types: Any) -> pl.DataFrame:
    """A frame with exactly `columns`, typed by name (Float64 unless said otherwise), rows in their order."""
    import polars as pl

    known = _types() | types
    schema = {name: known.get(name, pl.Float64) for name in columns}
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=schema)


IDENTITY = ("study", "optimizer", "subset", "policy", "workers", "batch_size")


def steps_frame(studies: Sequence[Study]) -> pl.DataFrame:
    """One row a study: S(B), its interval, and how many trials ended how."""
    rows = [
        study.identity
        | {
            "steps": study.result.steps,
            "low": study.result.steps,
            "high": study.result.high,
            "examples": cost.backpropagated if (cost := study.to_result) else None,
            "examples_forwarded": cost.forwarded if cost else None,
            **dict(
                zip(("forwarded_low", "forwarded_high"), study.forwarded_within or (None, None), strict=True)
            ),
            "best_trial": study.result.best_trial,
        }
        | {status.value.lower(): study.count(status) for status in Status}
        for study in studies
    ]
    examples = ("examples", "examples_forwarded", "forwarded_low", "forwarded_high")
    counts = ("complete", "infeasible", "stopped", "failed")
    return _frame(rows, (*IDENTITY, "steps", "low", "high", *examples, "best_trial", *counts))


def fits_frame(curves: Sequence[CurveFit]) -> pl.DataFrame:
    """One row per curve: the fit, its intervals and the limits; null where there is no fit."""
    import polars as pl

    columns = (
        "optimizer", "subset", "policy", "workers", "steps_min", "steps_min_low", "steps_min_high",
        "critical_batch_size", "low", "high", "perfect_scaling_limit", "perfect_scaling_low",
        "perfect_scaling_high", "perfect_scaling_is_largest_tested", "max_useful_batch_size",
        "max_useful_low", "max_useful_high", "max_useful_is_largest_tested", "residual_scatter", "points",
    )  # fmt: skip
    return _frame([_fit_row(curve) for curve in curves], columns, low=pl.Float64, high=pl.Float64)


def _fit_row(curve: CurveFit) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(("optimizer", "subset", "policy", "workers"), curve.curve, strict=True))
    fit = curve.fit
    if fit is None:
        return row | {"points": len(curve.points)}
    return (
        row
        | {
            name: getattr(fit, name)
            for name in ("steps_min", "critical_batch_size", "residual_scatter", "points")
        }
        | {name: getattr(fit, name) for name in ("perfect_scaling_limit", "max_useful_batch_size")}
        | {
            "perfect_scaling_is_largest_tested": fit.perfect_scaling_limit_is_largest_tested,
            "max_useful_is_largest_tested": fit.max_useful_batch_size_is_largest_tested,
        }
        | _ends("steps_min_", fit.steps_min_interval)
        | _ends("", fit.interval)
        | _ends("perfect_scaling_", fit.perfect_scaling_limit_interval)
        | _ends("max_useful_", fit.max_useful_batch_size_interval)
    )


def _ends(prefix: str, ends: tuple[float, float] | None) -> dict[str, float]:
    return {} if ends is None else {f"{prefix}low": ends[0], f"{prefix}high": ends[1]}


def trials_frame(studies: Sequence[Study], metric: str) -> pl.DataFrame:
    """One row a judged trial: what it counts as, its hyperparameters and its last validation metric."""
    names = _names(studies)
    rows = [
        study.identity
        | {
            "trial": (trial := judged.outcome.trial),
            "status": judged.status.value,
            "reached": judged.reached,
            "trained": judged.trained,
            "best": trial == study.result.best_trial,
            "validation": study.last.get(trial, {}).get(f"validation/{metric}"),
            "effective_learning_rate": effective_learning_rate(
                study.key.optimizer, study.hyperparameters[trial]
            ),
        }
        | study.hyperparameters[trial]
        for study in studies
        for judged in study.trials
    ]
    columns = (
        "trial",
        "status",
        "reached",
        "trained",
        *names,
        "effective_learning_rate",
        "best",
        "validation",
    )
    return _frame(rows, (*IDENTITY, *columns), **_texts(studies))


def best_frame(studies: Sequence[Study]) -> pl.DataFrame:
    """One row a study with a point: its best trial's hyperparameters, and which lie on a border."""
    rows = [
        study.identity
        | study.best
        | {
            "effective_learning_rate": effective_learning_rate(study.key.optimizer, study.best),
            "on_border": [border.name for border in study.borders],
        }
        for study in studies
        if study.best is not None
    ]
    columns = (*IDENTITY, *_names(studies), "effective_learning_rate", "on_border")
    return _frame(rows, columns, **_texts(studies))


def courses_frame(studies: Sequence[Study], metric: str) -> pl.DataFrame:
    """One row a measurement of the trial that each study shows."""
    names = {
        "trial": "trial",
        "step": "step",
        "examples": "examples_backpropagated",
        "train_loss": "train/loss",
        "validation_loss": "validation/loss",
        "validation": f"validation/{metric}",
        "test": f"test/{metric}",
    }
    rows = [
        study.identity
        | {name: row.get(column) for name, column in names.items()}
        # Stores from elsewhere do not say how many.
        | ({"examples": row["step"] * study.batch_size} if row["examples_backpropagated"] is None else {})
        for study in studies
        if study.course is not None
        for row in study.course.iter_rows(named=True)
    ]
    return _frame(rows, (*IDENTITY, *names))


def budgets_frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """The rows of `headrace.analysis.budgets.budget_rows`."""
    return _frame(rows, (*IDENTITY, "kind", "budget", "validation", "test", "whole_curves"))


def _names(studies: Sequence[Study]) -> list[str]:
    """Learning rate and momentum first, whether there or not; then everything else that any trial has."""
    found = {name for study in studies for values in study.hyperparameters.values() for name in values}
    first = ["learning_rate", "momentum"]
    return first + sorted(found - set(first))


def _texts(studies: Sequence[Study]) -> dict[str, Any]:
    """The hyperparameters whose values are text, or true and false."""
    import polars as pl

    items = (
        item for study in studies for values in study.hyperparameters.values() for item in values.items()
    )
    kinds = {str: pl.String, bool: pl.Boolean}
    return {name: kinds[type(value)] for name, value in items if isinstance(value, str | bool)}
