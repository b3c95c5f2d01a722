"""What a run would do and take, in words: of the JSON that `--plan --json` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headrace.cli._common import say

Facts = Mapping[str, Any]


def say_plan(facts: Facts) -> None:
    """The whole plan, on standard output."""
    say(f"The plan of {facts['folder']}; nothing was written, and no trial is kept.\n")
    for line in lines(facts):
        say(f"- {line}")


def announce(facts: Facts) -> None:
    """The plan in a sentence, and its warnings, on standard error."""
    studies, trials = facts["studies"], facts["trials"]
    saved = (
        f"; the bound saves about {facts['bound']['saving']:.0%} of the training"
        if facts["bound"]["stops"]
        else ""
    )
    shared = f" ({len(studies['shared'])} more share their results)" if studies["shared"] else ""
    left = studies["trained"] - studies["decided"]
    what = f"{_of(left, 'study', 'studies')} of {trials['per_study']} trials to train{shared}{_fresh(facts)}"
    say(f"headrace: {what}: {_time(facts)}{saved}. More: --plan.", error=True)
    for warning in facts["warnings"]:
        say(f"headrace: {warning}", error=True)


def lines(facts: Facts) -> Iterator[str]:
    """The plan, a sentence or two about each matter."""
    if facts.get("extends"):
        yield f"With --extend the folder is extended, which {'; '.join(facts['extends'])}."
    yield _studies(facts)
    yield _trials(facts)
    if facts["replicates"]:
        yield f"Replicates: {_fresh(facts).removeprefix(', ')}, until the {facts['replicates']['until']}" + (
            f", and at most {facts['replicates']['to_choose_at_most']} runs to choose between two settings."
            if facts["replicates"]["to_choose_at_most"]
            else "."
        )
    for search in facts["searches"]:
        trained, scored = _count(search["examples_trained"]), _count(search["examples_scored"])
        yield (
            f"Subset search {search['subset']} ({search['file']}): trains at most {trained} and scores "
            f"{scored} examples, about {duration(search['seconds'])}. Until it is made, a random subset as "
            "large stands for it here."
        )
    yield _examples(facts)
    yield from _bound(facts["bound"])
    yield f"Time: {_time(facts)}: {_stages(facts['seconds'])}."
    yield _memory(facts)
    free = facts["disk"]["free"]
    yield f"Disk: about {size(facts['disk']['bytes'])}" + (
        "." if free is None else f" of {size(free)} that are free."
    )
    if facts["widths"]:
        yield _widths(facts["widths"])
    yield from facts["warnings"]


def _studies(facts: Facts) -> str:
    studies = facts["studies"]
    text = f"Studies: {studies['asked']}, of which {studies['trained']} are trained"
    if studies["shared"]:
        name, source = next(iter(studies["shared"].items()))
        text += (
            f"; {len(studies['shared'])} are the same function as one with fewer workers, whose results they "
            f"share (the first: {name} has those of {source})"
        )
    done = f" {studies['decided']} are decided already." if studies["decided"] else ""
    return f"{text}.{done}"


def _trials(facts: Facts) -> str:
    trials = facts["trials"]
    stored = f" {trials['stored']} are stored." if trials["stored"] else ""
    return (
        f"Trials: {trials['per_study']} per study, {_count(trials['counted'])} that count, at most "
        f"{_count(trials['at_most'])} with those that diverge.{stored}"
    )


def _examples(facts: Facts) -> str:
    found = facts["examples"]
    low, high = found["interval"]
    return (
        f"Examples: about {_count(found['expected'])} in all trials ({_count(low)} to {_count(high)}); "
        f"{_count(found['at_most'])} if each were trained to its budget."
    )


def _bound(bound: Facts) -> Iterator[str]:
    if not bound["stops"]:
        yield 'Bound: none, because training.stop = "budget": every trial is trained to its budget.'
        return
    seen = bound["predicted_from"]
    if not seen:
        yield "Bound: no trial was trained for this plan, so what it saves is a guess."
        return
    yield f"Bound: saves about {bound['saving']:.0%} of that, as predicted by first trials: {_sights(seen)}."


def _sights(seen: Sequence[Facts]) -> str:
    shown = [
        f"{one['study']}: {one['reached']} of {one['trials']} at the goal by step {one['step']:,}"
        + ("" if one["decided"] else ", not decided when the time was over")
        for one in seen
    ]
    more = f"; and {len(shown) - 4} more" if len(shown) > 4 else ""
    return "; ".join(shown[:4]) + more


def _fresh(facts: Facts) -> str:
    asked = facts["replicates"]
    return f", {_of(asked['runs'], 'fresh run', 'fresh runs')} of chosen settings" if asked else ""


def _time(facts: Facts) -> str:
    seconds, processes = facts["seconds"], facts["processes"]
    low, high = seconds["interval"]
    return (
        f"about {duration(seconds['total'])} with {_of(processes, 'process', 'processes')} here "
        f"({duration(low)} to {duration(high)})"
    )


_STAGES = ("start", "searches", "studies", "replicates", "portraits", "report")


def _stages(seconds: Facts) -> str:
    return ", ".join(f"{stage} {duration(seconds[stage])}" for stage in _STAGES if seconds[stage] >= 0.5)


def _memory(facts: Facts) -> str:
    memory, processes = facts["memory"], facts["processes"]
    if memory["per_process"] is None:
        return "Memory: this system does not report it."
    device = (
        f"; on a GPU {size(memory['device_per_process'])} each, of {size(memory['device'])}"
        if memory["device_per_process"]
        else ""
    )
    return (
        f"Memory: {size(memory['per_process'])} in each of {_of(processes, 'process', 'processes')} "
        f"({size(memory['loaded'])} once the data are loaded), together {size(memory['total'])} of "
        f"{size(memory['machine'])}{device}."
    )


def _widths(widths: Sequence[Facts]) -> str:
    first, *more = widths
    others = " or ".join(f"{one['trials']} trials about x{one['width']:.2f}" for one in more)
    return (
        f"Precision: with {first['trials']} trials the interval of a tuned optimum is about "
        f"x{first['width']:.2f} wide (high over low); {others}."
    )


def _of(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def _count(number: float) -> str:
    for name, scale in (("billion", 1e9), ("million", 1e6)):
        if number >= scale:
            return f"{number / scale:.3g} {name}"
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return (
                f"{seconds / length:.2g} {unit}"
                if seconds < 10 * length
                else f"{seconds / length:.0f} {unit}"
            )
    return f"{seconds:.0f} s"


def size(number: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if number >= scale:
            return f"{number / scale:.3g} {unit}"
    return f"{number / 1e3:.0f} kB"
