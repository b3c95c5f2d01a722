"""The verdict on a grid: what to use, what made a difference, what showed none, what was not tested.

At most ten lines that a reader can act on. Each rests on replicates of the chosen settings through the
joint model, never on a search alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from headrace import random
from headrace.analysis import words
from headrace.analysis.effects import KINDS, Effect
from headrace.analysis.joint import Joint, Levels, Quantity
from headrace.analysis.recommendation import central
from headrace.specs.studies import FULL
from headrace.specs.subset_names import is_random

DRAWS = 2000
AIMS = {
    "fastest": "Fewest steps, so fastest if workers are many",
    "cheapest": "Fewest examples, so cheapest",
    "balanced": "Balanced between both",
}
"""Aim -> how its line begins."""
PLAIN = {"sgd": "SGD", "full": "all examples"}
MOST_LINES = 10

Kind = Literal["use", "difference", "prediction", "no difference", "not tested"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to train: a configuration at a batch size.

    Attributes:
        levels: Axis -> level, of the axes that vary.
        batch_size: Examples per step.
        work: Examples worth of training per step: those trained on, and a third for each only forwarded.
    """

    levels: Levels
    batch_size: float
    work: float


@dataclass(frozen=True, kw_only=True)
class Pick:
    """The best choice for one aim.

    Attributes:
        aim: One of `AIMS`.
        choice: The choice.
        steps: Steps to the goal, the median over seeds, by the joint model.
        interval: Its 95% interval.
        examples: Examples worth of training to the goal.
        share: The share of the draws in which this very choice is the best.
        near: The share of the draws in which it is within a tenth of the best.
    """

    aim: str
    choice: Choice
    steps: float
    interval: tuple[float, float]
    examples: float
    share: float
    near: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the verdict, and of what kind it is."""

    kind: Kind
    text: str


def picks(joint: Joint, choices: Sequence[Choice], seed: int, *, level: float = 0.95) -> tuple[Pick, ...]:
    """The best choice for each aim, with how often draws of the model's effects agree.

    Args:
        joint: The fitted model.
        choices: What can be chosen: the studies of the model, in order.
        seed: The experiment's.
        level: Of the intervals.
    """
    rng = random.generator(seed, "verdict")
    drawn, middle = joint.draws(DRAWS, rng), joint.log_steps
    work = np.log([choice.work for choice in choices])
    found = list[Pick]()
    for aim in AIMS:
        best = int(_loss(middle[None], work, aim)[0].argmin())
        losses = _loss(drawn, work, aim)
        steps = float(np.exp(middle[best]))
        found.append(
            Pick(
                aim=aim,
                choice=choices[best],
                steps=steps,
                interval=central(np.exp(drawn[:, best]), level, including=steps),
                examples=float(np.exp(middle[best] + work[best])),
                share=float((losses.argmin(axis=1) == best).mean()),
                near=float((losses[:, best] <= losses.min(axis=1) + np.log(1.1)).mean()),
            )
        )
    return tuple(found)


def losses(joint: Joint, choices: Sequence[Choice], aim: str) -> Float[np.ndarray, " choices"]:
    """How much more each choice needs than the best one, in logs, by the model's middle.

    Args:
        joint: The fitted model.
        choices: What can be chosen: the studies of the model, in order.
        aim: One of `AIMS`.
    """
    found = _loss(joint.log_steps[None], np.log([choice.work for choice in choices]), aim)[0]
    return found - found.min()


def _loss(
    log_steps: Float[np.ndarray, "draws choices"], log_work: Float[np.ndarray, " choices"], aim: str
) -> Float[np.ndarray, "draws choices"]:
    """Log steps, log work, or both relative to the least of each."""
    total = log_steps + log_work
    if aim == "fastest":
        return log_steps
    return total if aim == "cheapest" else (log_steps + total) / 2


def lines(
    chosen: Sequence[Pick],
    effects: Sequence[Effect],
    untested: Sequence[str],
    baselines: Levels,
    prediction: str | None = None,
) -> tuple[Line, ...]:
    """The verdict, at most `MOST_LINES` lines.

    Args:
        chosen: From `picks`.
        effects: From `headrace.analysis.effects.find_effects`.
        untested: What was not tested, in clauses.
        baselines: Axis -> the level that others are compared with.
        prediction: Whether what was predicted is confirmed or refuted; None: neither.
    """
    used = _used(chosen)
    shown = _differences([effect for effect in effects if effect.shown])
    rest = _no_difference([effect for effect in effects if not effect.shown], baselines)
    missing = [Line(kind="not tested", text=f"Not tested: {'; '.join(untested)}.")] if untested else []
    foretold = [] if prediction is None else [Line(kind="prediction", text=prediction)]
    room = MOST_LINES - len(used) - len(foretold) - len(rest) - len(missing)
    if len(shown) > room:
        more = len(shown) - room + 1
        text = f"{more} more differences are in the table of effects."
        shown = [*shown[: room - 1], Line(kind="difference", text=text)]
    return (*used, *shown, *foretold, *rest, *missing)


def _used(chosen: Sequence[Pick]) -> list[Line]:
    """One line per choice: aims that come to the same one share it."""
    same: dict[int, list[Pick]] = {}
    for pick in chosen:
        same.setdefault(id(pick.choice), []).append(pick)
    return [Line(kind="use", text=_told(members)) for members in same.values()]


def _told(members: Sequence[Pick]) -> str:
    pick = members[0]
    whats = words.listed(
        [_first_small(AIMS[each.aim]) if i else AIMS[each.aim] for i, each in enumerate(members)]
    )
    agree = words.listed(
        [f"{each.share:.0%} of draws" + (f" ({each.aim})" if len(members) > 1 else "") for each in members]
    )
    return (
        f"{whats}: {configuration(pick.choice.levels)}, batch size {words.number(pick.choice.batch_size)}: "
        f"{words.number(round(pick.steps))} steps {words.interval(_whole(pick.interval))} to the goal; "
        f"the best choice in {agree}, within a tenth of the best in {min(each.near for each in members):.0%}."
        f"{_found(pick.choice.levels)}"
    )


def _found(levels: Levels) -> str:
    subset = levels.get("subset", FULL)
    return "" if subset == FULL or is_random(subset) else " What finding the subset costs is not counted."


def _first_small(text: str) -> str:
    return text[0].lower() + text[1:]


def _whole(ends: tuple[float, float]) -> tuple[float, float]:
    return float(round(ends[0])), float(round(ends[1]))


def configuration(levels: Levels) -> str:
    """A configuration as it is read: `infobatch on half, 4 workers`."""
    parts = [PLAIN.get(levels["optimizer"], levels["optimizer"])] if "optimizer" in levels else []
    parts += [f"policy {levels['policy']}"] if "policy" in levels else []
    parts += [PLAIN.get(levels["subset"], f"subset {levels['subset']}")] if "subset" in levels else []
    parts += [f"{levels['workers']} workers"] if "workers" in levels else []
    return ", ".join(parts) or "the configuration tested"


def _differences(shown: Sequence[Effect]) -> list[Line]:
    """One line per axis, then one per pair of axes, with all that was shown of it."""
    by_axes: dict[tuple[str, ...], list[Effect]] = {}
    for effect in shown:
        by_axes.setdefault(effect.axes, []).append(effect)
    ordered = sorted(by_axes.items(), key=lambda item: len(item[0]))
    return [Line(kind="difference", text=_axis(axes, members)) for axes, members in ordered]


def _axis(axes: tuple[str, ...], members: Sequence[Effect]) -> str:
    sides: dict[Any, list[Effect]] = {}
    for effect in members:
        sides.setdefault(effect.side, []).append(effect)
    said = "; ".join(_side(effects) for effects in sides.values())
    return f"{' with '.join(axes).capitalize()}: {said}."


def _side(effects: Sequence[Effect]) -> str:
    parts = effects[0].side
    numbers = words.listed(
        [
            f"{words.number(_three(e.ratio))} times the {KINDS[e.what]} {words.interval(_ends(e))}"
            for e in effects
        ]
    )
    if len(parts) == 1:
        ((_, level, base),) = parts
        return f"{name(level)} takes {numbers} of {name(base)}"
    together = " and ".join(name(level) for _, level, _ in parts)
    less = [e.verdict == "less" for e in effects if e.what == "steps"]
    how = " (they help each other)" if less == [True] else " (their gains do not add up)" if less else ""
    return f"{together} together take {numbers} that each alone would come to{how}"


def name(level: str) -> str:
    """A level as it is read."""
    return PLAIN.get(level, level)


def _three(value: float) -> float:
    return float(f"{value:.3g}")


def _ends(effect: Effect) -> tuple[float, float]:
    return _three(effect.interval[0]), _three(effect.interval[1])


def _no_difference(rest: Sequence[Effect], baselines: Levels) -> list[Line]:
    """All of them in one line: what was compared, in what, and which factors would have been shown."""
    if not rest:
        return []
    kinds: dict[str, list[Quantity]] = {}
    for effect in rest:
        kinds.setdefault(_pair(effect, baselines), []).append(effect.what)
    alike: dict[tuple[Quantity, ...], list[str]] = {}
    for pair, whats in kinds.items():
        alike.setdefault(tuple(whats), []).append(pair)
    pairs = "; ".join(
        f"{words.listed(members)} in {words.listed([KINDS[what] for what in whats])}"
        for whats, members in alike.items()
    )
    return [Line(kind="no difference", text=f"No difference shown: {pairs}. {_detectable(rest)}")]


def _detectable(rest: Sequence[Effect]) -> str:
    alone, together = ([e for e in rest if len(e.side) == order] for order in (1, 2))
    said = [part for members in (alone, together) if (part := _factors(members))]
    return f"Would have been shown, four times in five: {'; for two levels together '.join(said)}."


def _factors(members: Sequence[Effect]) -> str:
    most: dict[Quantity, float] = {}
    for effect in members:
        most[effect.what] = max(most.get(effect.what, 1.0), effect.detectable)
    return (
        words.listed([f"a factor of {_factor(value)} in {KINDS[what]}" for what, value in most.items()])
        if most
        else ""
    )


def _factor(value: float) -> str:
    return words.number(_three(value)) if value < 100 else "over 100"


def _pair(effect: Effect, baselines: Levels) -> str:
    return " with ".join(
        name(level) + ("" if base == baselines[axis] else f" against {name(base)}")
        for axis, level, base in effect.side
    )


def to_dict(chosen: Sequence[Pick], said: Sequence[Line]) -> Mapping[str, Any]:
    """Plain JSON: the picks, and the lines with their kinds."""
    return {
        "picks": {
            pick.aim: {
                **pick.choice.levels,
                "batch_size": pick.choice.batch_size,
                "steps": pick.steps,
                "interval": [*pick.interval],
                "examples": pick.examples,
                "share_of_draws": pick.share,
                "share_within_a_tenth": pick.near,
            }
            for pick in chosen
        },
        "lines": [{"kind": line.kind, "text": line.text} for line in said],
    }
