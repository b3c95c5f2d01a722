"""What an experiment shows, in plain sentences; none says more than its interval does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from headrace.analysis import scaling, words
from headrace.analysis.curves import CurveFit
from headrace.analysis.hints import hints
from headrace.analysis.hyperparameters import RULES, RuleCheck
from headrace.analysis.regimes import TOLERANCE
from headrace.analysis.replicate_verdicts import BASELINE, Cell
from headrace.analysis.replicate_words import conclude_replicates
from headrace.analysis.replicates import Replicated, fits
from headrace.analysis.studies import Curve, Study
from headrace.analysis.tuned import tuned_of
from headrace.specs.space import POLICY, widen
from headrace.store.records import Status

FEW_TRIALS = 8
"""Studies with fewer counted trials than this are said to have been searched thinly."""


def conclude(
    curves: Sequence[CurveFit],
    examples: Mapping[str, int] | None = None,
    found: Mapping[str, Replicated] | None = None,
    cells: Sequence[Cell] = (),
    tokens: float | None = None,
) -> list[str]:
    """The findings: how far batch size pays; what differs between policies, subsets, optimizers; the rules.

    Args:
        curves: The experiment's curves.
        examples: Subset of the grid -> its size.
        found: The fresh runs of each study; without them policies and subsets get hints and no verdict.
        cells: Their comparisons.
        tokens: How many tokens an example has on average, if tokens are the unit.

    Returns:
        Sentences, the most important first.
    """
    said: list[str] = []
    for curve in curves:
        said += _how_far(curve)
        said += _in_tokens(curve, tokens)
    said += conclude_replicates(found, cells) if found else hints(curves, examples or {})
    said += _against_the_first(curves)
    said += _against_shuffle(found or {})
    for curve in curves:
        said += _rules(curve)
    return said


def _how_far(curve: CurveFit) -> list[str]:
    name = words.curve(curve.curve)
    if curve.fit is None:
        return [f"{name}: too few batch sizes reached the goal to say how far batch size pays."]
    fit = curve.fit
    tolerance = f"{TOLERANCE:.0%}"
    return [
        f"{name}: {_steps(curve)} "
        f"{_perfect(curve, fit, tolerance)} {_useful(fit, tolerance)} {_critical(fit)}{_free(fit)}"
    ]


def _in_tokens(curve: CurveFit, tokens: float | None) -> list[str]:
    """The same in tokens: what the goal cost at both ends, and how large a batch still pays."""
    if tokens is None or curve.fit is None:
        return []
    ends = [(study.batch_size, (study.result.steps or 0) * study.batch_size) for study in curve.points]
    sizes = [words.number(size * tokens) for size, _ in (ends[0], ends[-1])]
    costs = [words.number(cost * tokens) for _, cost in (ends[0], ends[-1])]
    useful = words.number(curve.fit.max_useful_batch_size * tokens)
    least_tested = "at least " if curve.fit.max_useful_batch_size_is_largest_tested else ""
    return [
        f"{words.curve(curve.curve)}, in tokens ({words.number(tokens)} per example): the luckiest run "
        f"of each search took {costs[0]} tokens to the goal at {sizes[0]} tokens per step "
        f"and {costs[1]} at {sizes[1]}. Larger batches saved steps up to "
        f"{least_tested}{useful} tokens per step."
    ]


def _steps(curve: CurveFit) -> str:
    """Steps at both ends: at the best hyperparameters if the trials show them; those of the luckiest runs."""
    ends = curve.points[0], curve.points[-1]
    sizes = [words.number(study.batch_size) for study in ends]
    runs = [words.number(study.result.steps or 0) for study in ends]
    found = [near for study in ends if (near := tuned_of(study, curve.surface)) is not None]
    luckiest = f"the luckiest run of each search took {runs[0]} and {runs[1]}"
    if len(found) == len(ends):
        first, last = (
            f"{words.number(float(f'{steps:.3g}'))} {words.interval(_three(near))}" for steps, near in found
        )
        return (
            f"at the best {_searched(curve)} the goal takes {first} steps at batch size {sizes[0]} and "
            f"{last} at {sizes[1]} (95% intervals); {luckiest}."
        )
    halves = [
        f"{words.number(study.result.high)} steps" if study.result.high is not None else "the budget or more"
        for study in ends
    ]
    return (
        f"{luckiest} steps to the goal at batch sizes {sizes[0]} and {sizes[1]}; the luckiest of half as "
        f"many might have taken up to {halves[0]} and {halves[1]} (95%)."
    )


def _searched(curve: CurveFit) -> str:
    return "learning rate" if curve.points[0].tuned == ("learning_rate",) else "hyperparameters"


def _three(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(f"{end:.3g}") for end in ends)
    return low, high


def _perfect(curve: CurveFit, fit: scaling.ScalingFit, tolerance: str) -> str:
    limit = words.number(fit.perfect_scaling_limit)
    spread = _spread(fit.perfect_scaling_limit_interval)
    if fit.perfect_scaling_limit_is_largest_tested:
        return (
            f"They fell in proportion to the batch size (within {tolerance}) up to the largest tested, "
            f"{limit}{spread}."
        )
    if fit.perfect_scaling_limit == curve.points[0].batch_size:
        return f"Nowhere did they fall in proportion to the batch size (within {tolerance}){spread}."
    return f"They fell in proportion to the batch size (within {tolerance}) up to {limit}{spread}."


def _useful(fit: scaling.ScalingFit, tolerance: str) -> str:
    limit = words.number(fit.max_useful_batch_size)
    spread = _spread(fit.max_useful_batch_size_interval)
    if fit.max_useful_batch_size_is_largest_tested:
        return f"A larger batch saved steps up to the largest tested, {limit}{spread}: more may still pay."
    return f"Beyond {limit}{spread} a larger batch saved less than {tolerance} of the steps in all."


def _spread(ends: tuple[float, float] | None) -> str:
    """The interval in brackets."""
    return "" if ends is None else f" (95% interval {words.interval(ends)})"


def _critical(fit: scaling.ScalingFit) -> str:
    what = "critical batch size, at which twice the fewest possible steps are needed,"
    if fit.interval is None:
        return f"The {what} is {words.number(fit.critical_batch_size)} by two points, with no interval."
    if len(fit.unreached) == 2:
        return f"The measurements do not bound the {what} on either side."
    if math.isinf(fit.interval[1]):
        return f"The {what} was not reached: it is {words.interval(fit.interval)} (95%)."
    if fit.interval[0] == 0:
        where = words.interval(fit.interval)
        return f"The {what} is below the smallest batch size tested: it is {where} (95%)."
    return f"The {what} is {words.number(fit.critical_batch_size)} {words.beside(fit.interval)}."


def _free(fit: scaling.ScalingFit) -> str:
    """Whether the law holds, and what is left without it."""
    if fit.law_free_interval is None:
        return ""
    where = words.interval(fit.law_free_interval)
    ends = "The measurements do not bound it" if where == "not bounded" else f"It is {where} (95%)"
    return (
        f" That rests on the law steps = fewest (1 + critical/batch size). {ends} if no law is believed."
        + "".join(f" {caveat}" for caveat in fit.caveats)
    )


def _against_the_first(curves: Sequence[CurveFit]) -> list[str]:
    """Each curve against the first one that shares its subset, policy and workers (SGD where it is there)."""
    found: list[str] = []
    families: dict[tuple[str, str, int], list[CurveFit]] = {}
    for curve in curves:
        families.setdefault(curve.curve[1:], []).append(curve)
    for members in families.values():
        base = next((curve for curve in members if curve.curve[0] == "sgd"), members[0])
        found += [
            _extends((curve.curve, curve.fit), (base.curve, base.fit))
            for curve in members
            if curve is not base
        ]
    return found


Fitted = tuple[Curve, scaling.ScalingFit | None]


def _against_shuffle(found: Mapping[str, Replicated]) -> list[str]:
    """Each policy's curve through fresh runs against that of plain shuffling, equal in all else."""
    fitted = fits(list(found.values()))
    pairs = [
        ((curve, fit), (base, fitted[base]))
        for curve, fit in fitted.items()
        if (base := (curve[0], curve[1], BASELINE, curve[3])) in fitted and base != curve
    ]
    return [_extends(one, base) for one, base in pairs]


def _extends(one: Fitted, base: Fitted) -> str:
    name, other = words.curve(one[0]), words.curve(base[0])
    ratio = scaling.critical_ratio(one[1], base[1]) if one[1] and base[1] else None
    if ratio is None:
        return (
            f"Whether {name} pays up to larger batches than {other} cannot be said: "
            "a critical batch size is missing."
        )
    factor, ends = ratio
    shown = (
        f"its critical batch size is {words.number(factor)} times as large, "
        f"95% interval {words.interval(ends)}"
    )
    if ends[0] > 1:
        return f"{name} pays up to larger batches than {other}: {shown}."
    if ends[1] < 1:
        return f"{name} pays only up to smaller batches than {other}: {shown}."
    return f"No difference shown in how far batch size pays between {name} and {other}: {shown}."


def _rules(curve: CurveFit) -> list[str]:
    rules = curve.rules
    if rules is None:
        return []
    name = words.curve(curve.curve)
    if rules.interval is None:
        return [f"{name}: two batch sizes are too few to judge a learning-rate rule."]
    return [
        f"{name}: the best effective learning rate grew as the batch size to the power "
        f"{words.number(rules.slope)} (95% interval {_signed(rules.interval)}); {_verdict(rules)} "
        f"Carried over from batch size {words.number(rules.smallest)} to {words.number(rules.largest)}, "
        f"{words.listed([_carried(rules, rules.interval, rule) for rule in RULES])} (95% intervals)."
    ]


def _carried(rules: RuleCheck, slopes: tuple[float, float], rule: str) -> str:
    """What a rule gives at the largest batch size, relative to the best, by the slope and its interval."""
    span = math.log(rules.largest / rules.smallest)
    times, high, low = (
        math.exp((RULES[rule] - slope) * span) for slope in (rules.slope, slopes[0], slopes[1])
    )
    return f"the {rule} rule gives {times:.3g} [{low:.3g}, {high:.3g}] times the best learning rate"


def _signed(ends: tuple[float, float]) -> str:
    return f"[{words.number(ends[0])}, {words.number(ends[1])}]"


def _verdict(rules: RuleCheck) -> str:
    kept = [f"the {rule} rule (power {power:g})" for rule, power in RULES.items() if rules.supported(rule)]
    broken = [
        f"the {rule} rule (power {power:g})" for rule, power in RULES.items() if not rules.supported(rule)
    ]
    if not kept:
        return f"that rules out both {words.listed(broken)}."
    if not broken:
        return f"that agrees with both {words.listed(kept)}, so it does not decide between them."
    return f"that rules out {broken[0]} and agrees with {kept[0]}."


def warn(
    studies: Sequence[Study], *, asked: int, metric: str | None = None, goal: float | None = None
) -> list[str]:
    """What a reader must know before believing the findings.

    Args:
        studies: All studies.
        asked: The number of trials asked for in each.
        metric: The measurement that the goal is about, such as `validation/error`; with the goal it is said
            how near the trials came that missed it.
        goal: The goal.

    Returns:
        Sentences; empty if there is nothing to warn of.
    """
    return [
        *_each("not finished, and left out", [s for s in studies if s.decided is None]),
        *_each(
            "the goal was never reached, so the curve has no point there",
            [s for s in studies if s.decided is not None and s.result.steps is None],
        ),
        *_nearest(studies, metric, goal),
        *_each(
            "the goal was met before any training (step 0): choose a stricter goal",
            [s for s in studies if s.result.steps == 0],
        ),
        *_each(
            f"fewer than the {asked} trials asked for could be counted, because too many diverged or failed",
            [s for s in studies if s.decided is not None and s.result.counted < asked],
        ),
        *_each("some trials failed with an error", [s for s in studies if s.count(Status.FAILED)]),
        *_thin(studies, asked),
        *_borders(studies),
    ]


def _nearest(studies: Sequence[Study], metric: str | None, goal: float | None) -> list[str]:
    """How near the trials came of studies that never reached the goal."""
    if metric is None or goal is None:
        return []
    sentences: list[str] = []
    for study in studies:
        ends = [last.get(metric) for last in study.last.values()]
        found = [end for end in ends if end is not None and math.isfinite(end)]
        if study.decided is not None and study.result.steps is None and found:
            sentences.append(
                f"{_place(study)}: 0 of {len(study.trials)} trials reached the goal, "
                f"{metric} below {goal:.4g}; the best ended at {min(found):.4g}."
            )
    return sentences


def _each(what: str, studies: Sequence[Study]) -> list[str]:
    return [f"{words.listed([_place(study) for study in studies])}: {what}."] if studies else []


def _place(study: Study) -> str:
    return f"{words.curve(study.curve)} at batch size {words.number(study.batch_size)}"


def _thin(studies: Sequence[Study], asked: int) -> list[str]:
    """Searches of fewer trials than `FEW_TRIALS` for each dimension, multiplied, as a grid as fine has."""
    thin = dict.fromkeys(study.tuned for study in studies if asked < FEW_TRIALS ** max(1, len(study.tuned)))
    return [
        f"With {asked} trials per study over {_dimensions(names)} the search is thin: "
        "the steps found may be well above the best possible."
        for names in thin
    ]


def _dimensions(names: Sequence[str]) -> str:
    spelled = [name.removeprefix(POLICY).replace("_", " ") for name in names]
    if len(names) < 2:
        return words.listed([f"the {name}" for name in spelled] or ["no hyperparameter"])
    return f"{len(names)} hyperparameters ({words.listed(spelled)})"


def _borders(studies: Sequence[Study]) -> list[str]:
    """One sentence for each hyperparameter and side, with the studies it concerns."""
    found: dict[tuple[str, str, str, float], list[Study]] = {}
    for study in studies:
        for border in study.borders:
            found.setdefault((border.name, border.key, border.side, border.limit), []).append(study)
    return [
        f"The best {name} is at the {side} end of its range ({limit:g}) for "
        f"{words.listed([_place(study) for study in members])}: the optimum may be beyond it. To see "
        f"whether it is, {widen(key, side)}"
        for (name, key, side, limit), members in found.items()
    ]
