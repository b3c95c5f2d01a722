"""What a grid's verdict says, from simulated replicates of every study."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from benchmarks.calibration._claims import Row, share
from headrace.analysis.effects import Effect
from headrace.analysis.grid import Cell, Grid, read_grid

SIZES = (16, 64, 256, 1024, 4096, 8192)
POLICIES, SUBSETS = ("shuffle", "a", "b"), ("full", "half", "random:0.5")
EXAMPLES = {"full": 1000, "half": 500, "random:0.5": 500}
SEEDS = 5
FEWEST, CRITICAL = 60.0, 300.0
GAIN, LESS, TOGETHER = math.log(0.75), math.log(0.5), math.log(1.4)


@dataclass(frozen=True, kw_only=True)
class World:
    """Nine configurations at six batch sizes, five seeds each.

    Attributes:
        effects: Levels -> what they add to log Smin and to log Bcrit.
        scatter: Between seeds, of log steps.
        missed: Between studies, of log steps: what tuning leaves.
        sharpness: Of S = Smin (1 + 3 (Bcrit/B)^k)^(1/k); None for the law S = Smin (1 + Bcrit/B).
        heavy: Whether seeds have t3 tails.
        trend: The factor by which the scatter grows from the smallest to the largest batch size.
    """

    effects: dict[tuple[str, ...], tuple[float, float]] = field(default_factory=dict)
    scatter: float = 0.19
    missed: float = 0.05
    sharpness: float | None = None
    heavy: bool = False
    trend: float = 1.0

    def truth(self, policy: str, subset: str) -> tuple[float, float]:
        """The logs of Smin and Bcrit."""
        moved = [by for levels, by in self.effects.items() if set(levels) <= {policy, subset}]
        on_fewest, on_critical = (sum(by[end] for by in moved) for end in (0, 1))
        return math.log(FEWEST) + on_fewest, math.log(CRITICAL) + on_critical

    def log_steps(self, policy: str, subset: str, size: float) -> float:
        """Median log steps at a batch size."""
        fewest, critical = self.truth(policy, subset)
        below = critical - math.log(size)
        if self.sharpness is None:
            return fewest + float(np.logaddexp(0, below))
        return fewest + math.log1p(3 * math.exp(self.sharpness * below)) / self.sharpness


WORLDS = {
    "scatter 19 %": World(),
    "scatter 19 %, nothing missed between studies": World(missed=0.0),
    "scatter 30 %, t3 tails": World(scatter=0.3, heavy=True),
    "scatter grows threefold with the batch size": World(scatter=0.1, trend=3.0),
    "another law, sharper": World(sharpness=2.0),
    "another law, blunter": World(sharpness=0.8),
}


Truths = dict[tuple[str, str, float], float]
"""Policy, subset and batch size -> median log steps of the setting that was tuned for it."""


def draw(rng: np.random.Generator, world: World) -> tuple[Grid, Truths]:
    """The grid of one experiment."""
    cells, truths = list[Cell](), Truths()
    for policy, subset, size in product(POLICIES, SUBSETS, SIZES):
        noise = rng.standard_t(3, SEEDS) / math.sqrt(3) if world.heavy else rng.standard_normal(SEEDS)
        place = math.log(size / SIZES[0]) / math.log(SIZES[-1] / SIZES[0])
        scatter = world.scatter * world.trend**place
        centre = world.log_steps(policy, subset, size) + world.missed * rng.standard_normal()
        levels = {"optimizer": "sgd", "policy": policy, "subset": subset, "workers": "1"}
        log_steps = tuple((centre + scatter * noise).tolist())
        cells.append(Cell(levels=levels, batch_size=size, log_steps=log_steps, missed=0, work=float(size)))
        truths[policy, subset, size] = centre
    found = read_grid(cells, seed=int(rng.integers(2**31)), sizes=EXAMPLES)
    assert found is not None
    return found, truths


def error_rates(rng: np.random.Generator, repeats: int) -> list[Row]:
    """Any difference shown where none is, over all of a grid's contrasts."""
    rows: list[Row] = []
    for name, world in WORLDS.items():
        count = max(repeats // 4, 20)
        hits = np.array([any(effect.shown for effect in draw(rng, world)[0].effects) for _ in range(count)])
        found, error = share(hits)
        claim = "grid: any difference shown where none is"
        rows.append(
            Row(claim=claim, world=f"3 x 3 x 6 x 5 seeds; {name}", found=found, error=error, most=0.05)
        )
    return rows


def power(rng: np.random.Generator, repeats: int) -> list[Row]:
    """A quarter fewer steps, half the critical batch size, gains that do not add up: shown, and covered."""
    worlds = {
        "a quarter fewer steps": ({("a",): (GAIN, 0.0)}, ("steps", ("a",)), GAIN, 0.9),
        "half the critical batch size": ({("b",): (0.0, LESS)}, ("critical", ("b",)), LESS, 0.8),
        "two gains lose 40 % together": (
            {("a",): (GAIN, 0.0), ("half",): (GAIN, 0.0), ("a", "half"): (TOGETHER, 0.0)},
            ("steps", ("a", "half")),
            TOGETHER,
            0.5,
        ),
    }
    rows: list[Row] = []
    for name, (effects, (what, levels), truth, asked) in worlds.items():
        count = max(repeats // 8, 20)
        found = [_named(draw(rng, World(effects=effects))[0].effects, what, levels) for _ in range(count)]
        shown, error = share(np.array([effect.shown for effect in found]))
        held = np.mean([effect.interval[0] <= math.exp(truth) <= effect.interval[1] for effect in found])
        detectable = float(np.median([effect.detectable for effect in found]))
        rows.append(
            Row(
                claim="grid: a difference shown",
                world=f"3 x 3 x 6 x 5 seeds; {name}",
                found=shown,
                error=error,
                least=asked,
                detail=f"in its corrected interval {held:.2f}; detectable x{detectable:.2f}",
            )
        )
    return rows


def _named(effects: tuple[Effect, ...], what: str, levels: tuple[str, ...]) -> Effect:
    """The effect of these levels against the baselines."""
    return next(
        effect
        for effect in effects
        if effect.what == what
        and tuple(level for _, level, _ in effect.side) == levels
        and all(base in ("shuffle", "full") for _, _, base in effect.side)
    )


def picks(rng: np.random.Generator, repeats: int) -> list[Row]:
    """What is recommended: near the best there is, its steps within their interval."""
    rows: list[Row] = []
    effects = {
        ("a",): (GAIN, 0.3),
        ("half",): (-0.1, 0.0),
        ("random:0.5",): (0.2, 0.0),
        ("a", "half"): (0.2, 0.0),
    }
    for name in ("scatter 19 %", "another law, sharper"):
        world = World(effects=effects, sharpness=WORLDS[name].sharpness)
        near, held, said = list[bool](), list[bool](), list[float]()
        for _ in range(max(repeats // 8, 20)):
            grid, truths = draw(rng, world)
            for pick in grid.picks:
                weight = {"fastest": 0.0, "cheapest": 1.0, "balanced": 0.5}[pick.aim]
                losses = {key: value + weight * math.log(key[2]) for key, value in truths.items()}
                key = (pick.choice.levels["policy"], pick.choice.levels["subset"], pick.choice.batch_size)
                near.append(losses[key] <= min(losses.values()) + math.log(1.1))
                held.append(pick.interval[0] <= math.exp(truths[key]) <= pick.interval[1])
                said.append(pick.near)
        where = f"3 x 3 x 6 x 5 seeds; {name}"
        found, error = share(np.array(near))
        rows.append(
            Row(
                claim="grid: the pick is within a tenth of the best",
                world=where,
                found=found,
                error=error,
                least=0.9,
                detail=f"said to be in {np.mean(said):.2f} of draws",
            )
        )
        found, error = share(np.array(held))
        claim = "grid: steps of the pick in their interval"
        rows.append(Row(claim=claim, world=where, found=found, error=error, least=0.92))
    return rows
