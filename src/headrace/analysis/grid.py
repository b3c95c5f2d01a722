"""A grid as a whole: its axes, the joint model of its replicates, and the verdict that rests on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headrace.analysis import words
from headrace.analysis.effects import Effect, find_effects
from headrace.analysis.gain import Predicted, stored_predictions
from headrace.analysis.gain_words import said
from headrace.analysis.joint import Joint, Levels, Point, fit_joint
from headrace.analysis.moderation import estimate_prior, squeezed
from headrace.analysis.replicates import Replicated
from headrace.analysis.rounding import rounded
from headrace.analysis.studies import FORWARD
from headrace.analysis.verdict import Choice, Line, Pick, configuration, lines, name, picks, to_dict
from headrace.specs.studies import FULL
from headrace.specs.subset_names import is_random
from headrace.store.experiments import StoredExperiment

AXES = ("optimizer", "policy", "subset", "workers")
BASELINES = {"optimizer": "sgd", "policy": "shuffle", "subset": FULL, "workers": "1"}
LEAST_REPLICATES = 3
"""A study of which fewer replicates reached the goal has no place in the model."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The replicates of one study's chosen setting.

    Attributes:
        levels: Axis of `AXES` -> level.
        batch_size: Examples per step.
        log_steps: The logarithms of the steps to the goal, of those that reached it.
        missed: How many did not.
        work: Examples worth of training per step.
        copies: How many cells have these very runs, because their studies are the same function.
    """

    levels: Levels
    batch_size: float
    log_steps: tuple[float, ...]
    missed: int
    work: float
    copies: int = 1

    @property
    def counts(self) -> bool:
        """Whether it enters the model: most replicates reached the goal."""
        return len(self.log_steps) >= max(LEAST_REPLICATES, 2 * self.missed)


def cells_of(replicated: Mapping[str, Replicated]) -> list[Cell]:
    """The cells of an experiment's fresh runs; studies without any are left out.

    A study that shares the runs of another is a cell if a study with as many workers was trained itself and
    is compared with it. Its runs are known once, not twice: see `copies`.

    Args:
        replicated: Study -> its fresh runs.
    """
    there = [one for one in replicated.values() if one.runs]
    beside = {_place(one) for one in there if one.own}
    kept = [one for one in there if one.own or _place(one) in beside]
    copies = Counter(one.trained for one in kept)
    return [replace(_cell(one), copies=copies[one.trained]) for one in kept]


def _place(one: Replicated) -> tuple[str, str, int, int]:
    c = one.study.key.configuration
    return one.study.key.optimizer, c.subset, c.batch_size, c.workers


def _cell(one: Replicated) -> Cell:
    c = one.study.key.configuration
    reached = [run for run in one.runs if run.reached]
    steps = sum(run.reached or 0 for run in reached) or sum(run.trained for run in one.runs)
    counted = reached or list(one.runs)
    forwarded = sum(run.examples_forwarded for run in counted)
    trained = sum(run.examples_backpropagated for run in counted)
    return Cell(
        levels={
            "optimizer": one.study.key.optimizer,
            "policy": c.policy,
            "subset": c.subset,
            "workers": str(c.workers),
        },
        batch_size=float(c.batch_size),
        log_steps=tuple(math.log(run.reached) for run in reached if run.reached),
        missed=len(one.runs) - len(reached),
        work=max(trained + FORWARD * (forwarded - trained), 1.0) / max(steps, 1),
    )


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What a grid came to.

    Attributes:
        baselines: The axes that vary -> the level that others are compared with.
        joint: The model of all its studies.
        effects: What its axes do.
        choices: What could be chosen: the studies.
        picks: The best choices.
        lines: The verdict.
        left_out: Studies that too few replicates of which reached the goal, in words.
        predicted: Steps of policies over those of uniform sampling, as the gradient noise predicts them.
    """

    baselines: Levels
    joint: Joint
    effects: tuple[Effect, ...]
    choices: tuple[Choice, ...]
    picks: tuple[Pick, ...]
    lines: tuple[Line, ...]
    left_out: tuple[str, ...]
    predicted: tuple[Predicted, ...] = ()

    @property
    def headline(self) -> str:
        """The answer: the balanced choice, how many differences were shown, and what that leaves open."""
        pick = next(pick for pick in self.picks if pick.aim == "balanced")
        shown = sum(effect.shown for effect in self.effects)
        answer = (
            f"The best balance of steps and examples: {configuration(pick.choice.levels)}, batch size "
            f"{words.number(pick.choice.batch_size)}. {shown} of {len(self.effects)} comparisons show a "
            "difference"
        )
        if shown or pick.choice.levels == self.baselines:
            return f"{answer}."
        return f"{answer}: {configuration(self.baselines)} may do as well."

    @property
    def configurations(self) -> tuple[Levels, ...]:
        """Those of its studies, the baselines first."""
        found = {tuple(sorted(point.levels.items())): point.levels for point in self.joint.points}
        base = tuple(sorted(self.baselines.items()))
        return tuple(found[key] for key in sorted(found, key=lambda key: key != base))

    def to_dict(self) -> dict[str, Any]:
        """The object `grid` of results.json."""
        found: dict[str, Any] = {
            "baselines": dict(self.baselines),
            **to_dict(self.picks, self.lines),
            "effects": [effect.to_dict() for effect in self.effects],
            "misfit": self.joint.misfit,
            "left_out": [*self.left_out],
        }
        if self.predicted:
            found["predicted"] = [one.to_dict() for one in self.predicted]
        return _four(found)


def _four(value: Any) -> Any:
    """Numbers of four digits: no more of an optimum found by descent are the same on every machine."""
    if isinstance(value, Mapping):
        return {name: _four(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_four(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else rounded(value)


def grid_of(stored: StoredExperiment, replicated: Mapping[str, Replicated]) -> Grid | None:
    """The grid of a stored experiment, or None; see `read_grid`.

    Args:
        stored: The experiment.
        replicated: Study -> its fresh runs.
    """
    facts, subsets = stored.facts, stored.experiment.grid.subset
    return read_grid(
        cells_of(replicated),
        seed=stored.experiment.seed,
        sizes={name: facts.examples_in(name) for name in subsets} if facts else {},
        predicted=stored_predictions(stored),
    )


def read_grid(
    cells: Sequence[Cell],
    *,
    seed: int,
    sizes: Mapping[str, int] | None = None,
    predicted: Sequence[Predicted] = (),
    level: float = 0.95,
) -> Grid | None:
    """The grid of an experiment's replicates.

    Args:
        cells: One a study that has replicates.
        seed: The experiment's.
        predicted: What the gradient noise predicts of policies.
        sizes: Subset -> its examples, so that chosen subsets are compared with random ones as large.
        level: Of the verdict as a whole.

    Returns:
        The grid; None if nothing but the batch size varies, or there are too few studies for the model.
    """
    baselines = baselines_of(cells)
    kept = [cell for cell in cells if cell.counts]
    points = _points(kept, baselines)
    joint = fit_joint(points, baselines) if baselines and points else None
    if joint is None:
        return None
    besides = _against_chance(baselines, kept, sizes or {})
    effects = find_effects(joint, baselines, besides=besides, level=level)
    choices = [
        Choice(levels=point.levels, batch_size=point.batch_size, work=cell.work)
        for point, cell in zip(points, kept, strict=True)
    ]
    chosen = picks(joint, choices, seed, level=level)
    left_out = tuple(
        f"{configuration(_varying(cell.levels, baselines))} at batch size {cell.batch_size:g} "
        f"({len(cell.log_steps)} of {len(cell.log_steps) + cell.missed} replicates reached the goal)"
        for cell in cells
        if not cell.counts
    )
    untested = [*_untested(cells), *left_out]
    return Grid(
        baselines=baselines,
        joint=joint,
        effects=effects,
        choices=tuple(choices),
        picks=chosen,
        lines=lines(chosen, effects, untested, baselines, said(joint, baselines, predicted)),
        left_out=left_out,
        predicted=tuple(predicted),
    )


def baselines_of(cells: Sequence[Cell]) -> dict[str, str]:
    """The axes that vary, each with the level that others are compared with: the plain one or the first."""
    found: dict[str, str] = {}
    for axis in AXES:
        levels = list(dict.fromkeys(cell.levels[axis] for cell in cells))
        if len(levels) > 1:
            found[axis] = BASELINES[axis] if BASELINES[axis] in levels else levels[0]
    return found


def _varying(levels: Levels, baselines: Levels) -> dict[str, str]:
    return {axis: levels[axis] for axis in baselines}


def _points(cells: Sequence[Cell], baselines: Levels) -> list[Point]:
    """Each study's mean, with its scatter drawn towards that of all: few seeds know little of their own."""
    if not cells:
        return []
    counts = np.array([len(cell.log_steps) for cell in cells], float)
    own = np.array([np.var(cell.log_steps, ddof=1) for cell in cells])
    raised = np.maximum(own, max(1e-6, 1e-3 * float(own.mean())))
    drawn, freedom = squeezed(raised, counts - 1, estimate_prior(raised, counts - 1))
    return [
        Point(
            levels=_varying(cell.levels, baselines),
            batch_size=cell.batch_size,
            log_steps=_centre(cell),
            error=math.sqrt(float(variance) * cell.copies / len(cell.log_steps)),
            freedom=float(min(free, len(cell.log_steps) - 1)),
        )
        for cell, variance, free in zip(cells, drawn, freedom, strict=True)
    ]


def _centre(cell: Cell) -> float:
    """The mean; the median of all, those that did not reach the goal included, where there are any."""
    if not cell.missed:
        return float(np.mean(cell.log_steps))
    return float(np.median([*cell.log_steps, *[math.inf] * cell.missed]))


def _against_chance(
    baselines: Levels, cells: Sequence[Cell], sizes: Mapping[str, int]
) -> list[tuple[str, str, str]]:
    """Each chosen subset with each random one as large, within a tenth."""
    if "subset" not in baselines:
        return []
    names = list(dict.fromkeys(cell.levels["subset"] for cell in cells))
    return [
        ("subset", chosen, other)
        for chosen in names
        for other in names
        if chosen != FULL and not is_random(chosen) and is_random(other) and other != baselines["subset"]
        if abs(sizes.get(chosen, 0) - sizes.get(other, 0))
        <= 0.1 * max(sizes.get(chosen, 1), sizes.get(other, 1))
    ]


_ALONE = {
    "optimizer": "other optimizers than {}",
    "policy": "other policies than {}",
    "subset": "subsets of the data",
    "workers": "other numbers of workers than {}",
}


def _untested(cells: Sequence[Cell]) -> list[str]:
    """Axes that did not vary, in words."""
    found = list[str]()
    for axis, text in _ALONE.items():
        levels = {cell.levels[axis] for cell in cells}
        if len(levels) == 1:
            found.append(text.format(*map(name, levels)))
    return found
