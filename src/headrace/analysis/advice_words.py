"""A recommendation as people read it: a paragraph and a table."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.analysis import words
from headrace.analysis.recommendation import Option, Pick, Recommendation


def paragraph(found: Recommendation, caveats: Sequence[str], tokens: float | None = None) -> str:
    """The recommendation in plain words.

    Args:
        found: The options and the best of them.
        caveats: Sentences that follow.
        tokens: How many tokens an example has, if tokens are the unit.
    """
    picks = found.picks
    if len({id(pick.option) for pick in picks.values()}) == 1:
        said = [f"Fastest, cheapest and the best compromise are the same: {_told(picks['fastest'], tokens)}."]
    else:
        names = {"fastest": "Fastest", "cheapest": "Cheapest", "knee": "The best compromise of time and cost"}
        said = [f"{name}: {_told(picks[aim], tokens)}." for aim, name in names.items()]
    if all(option.workers == 1 for option in found.options):
        said.append("With one worker time and cost are the same.")
    return " ".join([*said, *caveats])


def _name(option: Option) -> str:
    curve = words.curve((option.optimizer, option.subset, option.policy, 1))
    return f"{curve}, batch {option.batch_size}, {_workers(option)}"


def _workers(option: Option) -> str:
    return f"{option.workers} worker" + ("" if option.workers == 1 else "s")


def _told(pick: Pick, tokens: float | None) -> str:
    option = pick.option
    name = words.curve((option.optimizer, option.subset, option.policy, 1))
    extrapolated = "" if option.measured else ", by an extrapolated step time"
    reaches = "reaches the goal in"
    if option.basis == "surface":
        values = [f"{key.replace('_', ' ')} {value:.3g}" for key, value in option.hyperparameters.items()]
        reaches = f"at {words.listed(values)} is expected to reach the goal in"
    return (
        f"{name} with batch size {_size(option, tokens)} on {_workers(option)} {reaches} "
        f"{words.duration(option.seconds)} (95% interval {words.span(*pick.seconds)}) at a cost of "
        f"{words.duration(option.device_seconds)} of device time{_of_all(pick)}{extrapolated}; {_sure(pick)}"
    )


def _size(option: Option, tokens: float | None) -> str:
    """The batch size, in tokens too if these are the unit."""
    size = words.number(option.batch_size)
    return size if tokens is None else f"{size} ({words.number(option.batch_size * tokens)} tokens)"


def _of_all(pick: Pick) -> str:
    """The interval of the cost, if it is not that of the time."""
    workers = pick.option.workers
    return "" if workers == 1 else f" ({words.span(*(workers * end for end in pick.seconds))})"


def _sure(pick: Pick) -> str:
    """How far another search might have picked another batch size."""
    low, high = pick.batch_size
    share = f"{pick.share:.0%}"
    if pick.alone:
        return "no other option was measured"
    if low == high:
        return f"all that the search allows picks this batch size ({share} of the draws pick this option)"
    return (
        f"another search might pick a batch size from {words.number(low)} to {words.number(high)} "
        f"({share} of the draws pick this option)"
    )


def table(found: Recommendation, tokens: float | None = None) -> list[tuple[object, ...]]:
    """The frontier for people: option, what it is best as, time, interval, cost, steps, step time.

    With tokens as the unit, two more: those of a batch, and those that the steps take.
    """
    rows: list[tuple[object, ...]] = []
    for option in found.frontier:
        place = next(i for i, other in enumerate(found.options) if other is option)
        best_as = [aim for aim, pick in found.picks.items() if pick.option is option]
        rows.append(
            (
                _name(option),
                ", ".join(best_as) or None,
                option.seconds,
                words.span(*found.intervals[place]),
                option.device_seconds,
                round(option.steps),
                option.seconds_per_step * 1000,
                "measured" if option.measured else "extrapolated",
                *(() if tokens is None else (option.batch_size * tokens, _total(option, tokens))),
            )
        )
    return rows


def _total(option: Option, tokens: float) -> float:
    """The tokens to the goal, to four digits: the steps are an estimate."""
    return float(f"{option.steps * option.batch_size * tokens:.4g}")
