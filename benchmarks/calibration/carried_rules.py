"""What carrying a setting by a rule costs, and the verdict on the rule, from simulated searches."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from benchmarks.calibration import with_momentum
from benchmarks.calibration._claims import Row, share
from benchmarks.calibration.searches import BATCH_SIZES, WORLDS, World, search
from benchmarks.calibration.surfaces import EVERY, NOT_MADE_FOR, clustered, surface
from headrace.analysis._carrying import MOST
from headrace.analysis.regimes import TOLERANCE
from headrace.analysis.rules import Carried, judge

_RULES = ("constant", "square-root", "linear")
_HELD = "rules: cost of a carried setting in its interval"
_WRONG = "rules: verdict 'holds' or 'fails' and wrong"


class _Found(NamedTuple):
    """Per batch size whether its interval holds the true cost, and whether the verdict is wrong."""

    held: list[bool]
    wrong: bool
    decided: bool
    width: float


def _found(rule: Carried, truths: np.ndarray) -> _Found:
    """Against the true factor at every batch size but the first."""
    held, widths = list[bool](), list[float]()
    for cost, truth in zip(rule.at, truths, strict=True):
        assert cost.interval is not None
        low, high = cost.interval
        held.append(low <= min(truth, MOST) * (1 + 1e-9) and truth <= high)
        widths += [high / low] if math.isfinite(high) else []
    fails = bool(truths.max() > 1 + TOLERANCE)
    wrong = rule.verdict == ("holds" if fails else "fails")
    return _Found(held, wrong, rule.verdict != "undecided", float(np.median(widths)) if widths else math.nan)


def _rows(found: list[_Found], world: str, *, asked: bool) -> list[Row]:
    held, error = clustered(np.array([one.held for one in found]))
    wrong, wrong_error = share(np.array([one.wrong for one in found]))
    widths = [one.width for one in found if math.isfinite(one.width)]
    decided = np.mean([one.decided for one in found])
    return [
        Row(
            claim=_HELD,
            world=world,
            found=held,
            error=error,
            least=0.90 if asked else None,
            detail=f"width x{np.median(widths):.2f}" if widths else "open above",
        ),
        Row(
            claim=_WRONG,
            world=world,
            found=wrong,
            error=wrong_error,
            most=0.05 if asked else None,
            detail=f"decided: {decided:.2f}",
        ),
    ]


def carried(rng: np.random.Generator, repeats: int) -> list[Row]:
    """The learning rate of the smallest batch size, carried by three rules."""
    rows: list[Row] = []
    for name, world in EVERY.items():
        drawn = search(rng, world, repeats)
        found: dict[str, list[_Found]] = {rule: [] for rule in _RULES}
        for i in range(repeats):
            fitted = surface(drawn, i)
            for rule in judge(fitted, _RULES, scales={}, start=int(BATCH_SIZES[0]), rng=rng):
                rate = fitted.learning_rates[0]
                power = {"constant": 0.0, "square-root": 0.5, "linear": 1.0}[rule.rule]
                rates = np.log(rate) + power * np.log(BATCH_SIZES / BATCH_SIZES[0])
                truth = np.exp(world.log_steps(rates[:, None])[:, 0]) / world.tuned
                found[rule.rule].append(_found(rule, truth[1:]))
        for rule, ones in found.items():
            where = f"16 trials at 9 batch sizes; {name}; {rule}"
            rows += _rows(ones, where, asked=name not in NOT_MADE_FOR)
    return rows


def with_momentum_too(rng: np.random.Generator, repeats: int) -> list[Row]:
    """A learning rate and a momentum: the rate is carried, the momentum stays."""
    rows: list[Row] = []
    for name in with_momentum.NAMES:
        world = WORLDS[name]
        found: dict[str, list[_Found]] = {rule: [] for rule in _RULES}
        for _ in range(repeats):
            fitted, _ = with_momentum.surface(rng, world)
            if fitted is None:
                continue
            least = _least(world)
            scales = {"momentum": "one-minus-log"}
            for rule in judge(fitted, _RULES, scales=scales, start=int(BATCH_SIZES[0]), rng=rng):
                rates = np.log([cost.setting["learning_rate"] for cost in rule.at])
                left = np.log([1 - cost.setting["momentum"] for cost in rule.at])
                every = with_momentum.log_steps(world, np.r_[0, rates][:, None], np.r_[-1, left][:, None])
                found[rule.rule].append(_found(rule, np.exp(every[1:, 0] - least[1:])))
        for rule, ones in found.items():
            where = f"learning rate and momentum, 16 trials at 9 batch sizes; {name}; {rule}"
            rows += _rows(ones, where, asked=True)
    return rows


def _least(world: World) -> np.ndarray:
    """The fewest log steps at each batch size, of all settings that are searched."""
    rates = np.linspace(*world.rates, 400)
    lefts = np.linspace(*with_momentum.LOG_LEFT, 60)
    grid = [
        with_momentum.log_steps(world, rates[None, :].repeat(9, 0), np.full((9, 400), left)) for left in lefts
    ]
    return np.min(grid, axis=(0, 2))
