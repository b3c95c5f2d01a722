"""Analyses made up for the tests: realistic in shape, known in every number."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from headrace.analysis.grid import Cell, Grid, read_grid
from headrace.analysis.results import Analysis
from headrace.random import generator

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


_WARNING = (
    "Nesterov momentum, batch size 8192: the best learning rate lies on the border of the search space."
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What to make up: the law of each optimiser, and what goes wrong."""

    laws: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {"sgd": (210.0, 160.0), "nesterov": (120.0, 620.0)}
    )
    sizes: tuple[int, ...] = SIZES
    trials: int = 24
    unreached: frozenset[tuple[str, int]] = frozenset({("sgd", 16384)})
    whole_curves: bool = False
    workload: str = "mnist-fc"
    workers: tuple[int, ...] = (1,)


def analysis(made: Made | None = None) -> Analysis:
    """The analysis of a made-up experiment."""
    made = Made() if made is None else made
    trials = [
        row for o in made.laws for w in made.workers for b in made.sizes for row in _trials(made, o, w, b)
    ]
    steps = [_study(made, o, w, b, trials) for o in made.laws for w in made.workers for b in made.sizes]
    return Analysis(
        results={
            "format": 1,
            "workload": made.workload,
            "goal": 0.03,
            "conclusions": [
                "With Nesterov momentum, larger batches save steps up to a batch size of 4,096; beyond it "
                "they save none (critical batch size 620, 95% interval 480 to 810).",
                "With SGD, perfect scaling ends at a batch size of 64 and the critical batch size is 160 "
                "(95% interval 120 to 230).",
                "Nesterov momentum extends perfect scaling from 64 to 256.",
                _WARNING,
            ],
            "warnings": [_WARNING],
        },
        steps=pl.DataFrame(steps, infer_schema_length=None),
        fits=pl.DataFrame(
            [_fit(made, o, w) for o in made.laws for w in made.workers], infer_schema_length=None
        ),
        trials=pl.DataFrame(trials, infer_schema_length=None),
        best_hyperparameters=pl.DataFrame(
            [_best(row) for row in trials if row["best"]],
            schema_overrides={"on_border": pl.List(pl.String)},
            infer_schema_length=None,
        ),
        budgets=_budgets(made),
        courses=_courses(made, trials),
    )


def a_grid() -> Grid:
    """Two policies on two subsets at four batch sizes."""
    rng, cells = np.random.default_rng(0), list[Cell]()
    for policy, subset, size in product(("shuffle", "infobatch"), ("full", "half"), (8, 64, 512, 4096)):
        centre = math.log(60 * (1 + 300 / size)) - 0.3 * (policy == "infobatch")
        levels = {"optimizer": "sgd", "policy": policy, "subset": subset, "workers": "1"}
        log_steps = tuple((centre + 0.2 * rng.standard_normal(5)).tolist())
        cells.append(Cell(levels=levels, batch_size=size, log_steps=log_steps, missed=0, work=float(size)))
    found = read_grid(cells, seed=0)
    assert found is not None
    return found


def _key(optimizer: str, workers: int, size: int | None = None) -> dict[str, Any]:
    key = {"optimizer": optimizer, "subset": "full", "policy": "shuffle", "workers": workers}
    return (
        key
        if size is None
        else {"study": f"{optimizer},batch_size={size},workers={workers}", **key, "batch_size": size}
    )


def _law(made: Made, optimizer: str, size: int) -> float:
    least, critical = made.laws[optimizer]
    return least * (1 + critical / size)


def _trials(made: Made, optimizer: str, workers: int, size: int) -> list[dict[str, Any]]:
    rng = generator(0, "made", optimizer, workers, size)
    rows = [_trial(made, optimizer, workers, size, trial, rng) for trial in range(made.trials)]
    reached = [(row["reached"], row["trial"]) for row in rows if row["reached"] is not None]
    for row in rows:
        row["best"] = bool(reached) and row["trial"] == min(reached)[1]
    return rows


def _trial(made: Made, optimizer: str, workers: int, size: int, trial: int, rng: Any) -> dict[str, Any]:
    rate = 10 ** rng.uniform(-3, 1)
    momentum = None if optimizer == "sgd" else 1 - 10 ** rng.uniform(-3, -0.3)
    effective = rate / (1 - (momentum or 0.0))
    ideal = 0.05 * math.sqrt(size)
    off = abs(math.log10(effective / ideal))
    law = _law(made, optimizer, size)
    reached = round(law * (1 + 2 * off + 0.2 * rng.random())) if off < 0.7 else None
    reached = None if (optimizer, size) in made.unreached else reached
    status = "INFEASIBLE" if effective > 8 * ideal else "COMPLETE" if reached or off > 1.8 else "STOPPED"
    trained = reached if reached else max(1, round(law * (0.05 if status == "INFEASIBLE" else 2)))
    return {
        **_key(optimizer, workers, size), "trial": trial, "status": status, "reached": reached,
        "trained": trained, "learning_rate": rate, "momentum": momentum, "effective_learning_rate": effective,
        "validation": 0.025 if reached else 0.2,
    }  # fmt: skip


def _study(
    made: Made, optimizer: str, workers: int, size: int, trials: list[dict[str, Any]]
) -> dict[str, Any]:
    key = _key(optimizer, workers, size)
    rows = [row for row in trials if row["study"] == key["study"]]
    reached = sorted(row["reached"] for row in rows if row["reached"] is not None)
    steps = reached[0] if reached else None
    counts = {
        s.lower(): sum(r["status"] == s for r in rows)
        for s in ("COMPLETE", "INFEASIBLE", "STOPPED", "FAILED")
    }
    best = next((row["trial"] for row in rows if row["best"]), None)
    return {
        **key, "steps": steps, "low": steps, "high": reached[min(3, len(reached) - 1)] if reached else None,
        "examples": None if steps is None else steps * size, "best_trial": best, **counts,
    }  # fmt: skip


def _fit(made: Made, optimizer: str, workers: int) -> dict[str, Any]:
    least, critical = made.laws[optimizer]
    return {
        **_key(optimizer, workers),
        "steps_min": least, "steps_min_low": least * 0.9, "steps_min_high": least * 1.1,
        "critical_batch_size": critical, "low": critical * 0.75, "high": critical * 1.4,
        "perfect_scaling_limit": 64 if optimizer == "sgd" else 256, "perfect_scaling_low": 32,
        "perfect_scaling_high": 512, "perfect_scaling_is_largest_tested": False,
        "max_useful_batch_size": 2048 if optimizer == "sgd" else made.sizes[-1], "max_useful_low": 1024,
        "max_useful_high": math.inf,
        "max_useful_is_largest_tested": optimizer != "sgd", "residual_scatter": 0.05,
        "points": len(made.sizes),
    }  # fmt: skip


def _best(row: dict[str, Any]) -> dict[str, Any]:
    key = {name: row[name] for name in ("optimizer", "subset", "policy", "workers", "batch_size")}
    values = {name: row[name] for name in ("learning_rate", "momentum")}
    border = ["learning_rate"] if row["batch_size"] == 8192 and row["optimizer"] == "nesterov" else []
    effective = row["learning_rate"] / (1 - (row["momentum"] or 0.0))
    return {**key, **values, "effective_learning_rate": effective, "on_border": border}


def _budgets(made: Made) -> pl.DataFrame:
    rows = [
        {**_key(o, w, b), "kind": kind, "budget": budget, "validation": _error(made, o, b, kind, budget),
         "test": None, "whole_curves": made.whole_curves}
        for o in made.laws for w in made.workers for b in made.sizes
        for kind, budgets in (("steps", (100, 1000)), ("epochs", (1, 10))) for budget in budgets
    ]  # fmt: skip
    return pl.DataFrame(
        rows, infer_schema_length=None, schema_overrides={"test": pl.Float64, "budget": pl.Float64}
    )


def _courses(made: Made, trials: list[dict[str, Any]]) -> pl.DataFrame:
    """Of each best trial a few measurements that fall to its last one."""
    names = ("study", "optimizer", "subset", "policy", "workers", "batch_size", "trial")
    size = {_key(o, w, b)["study"]: b for o in made.laws for w in made.workers for b in made.sizes}
    rows = [
        {name: ({**row, "batch_size": size[row["study"]]})[name] for name in names}
        | {
            "step": (step := max(1, row["trained"] * part // 8)),
            "examples": step * size[row["study"]],
            "train_loss": None if part == 1 else 1.9 / part,
            "validation_loss": 2.1 / part,
            "validation": row["validation"] * 8 / part,
            "test": None,
        }
        for row in trials
        if row["best"]
        for part in (1, 2, 5, 8)
    ]
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"test": pl.Float64})


def _error(made: Made, optimizer: str, size: int, kind: str, budget: float) -> float:
    steps = budget if kind == "steps" else max(1.0, budget * 55_000 / size)
    return 0.015 + 0.4 / (1 + steps / _law(made, optimizer, size) * 8)
