"""What is wrong with what a training was fed: pure functions of a `Feed`. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from headrace.feeds.reading import Feed

_SHOWN = 8
"""Examples that a sentence names."""

Rows = Bool[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True)
class EpochFacts:
    """How often an epoch fed each example.

    Attributes:
        epoch: Its number.
        rows: Rows that were fed.
        once: Examples that came once.
        more: Examples that came more than once.
        several_ranks: Examples that more than one process was fed.
        never: Examples that did not come.
        last: Whether it is the last of the log, which may be unfinished.
    """

    epoch: int
    rows: int
    once: int
    more: tuple[int, ...]
    several_ranks: tuple[int, ...]
    never: tuple[int, ...]
    last: bool

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()
        }


def epochs_of(feed: Feed) -> list[EpochFacts]:
    """The facts about each epoch, in order."""
    numbers = np.unique(feed.epochs).tolist()
    return [_facts(feed, epoch, last=epoch == numbers[-1]) for epoch in numbers]


def _facts(feed: Feed, epoch: int, *, last: bool) -> EpochFacts:
    mine = feed.epochs == epoch
    examples = feed.examples[mine]
    counts = np.bincount(examples, minlength=feed.num_examples)
    pairs = np.unique(np.stack([examples, feed.ranks[mine]]), axis=1)[0]
    by_ranks = np.bincount(pairs, minlength=feed.num_examples)
    return EpochFacts(
        epoch=epoch,
        rows=len(examples),
        once=int((counts == 1).sum()),
        more=tuple(np.flatnonzero(counts > 1).tolist()),
        several_ranks=tuple(np.flatnonzero(by_ranks > 1).tolist()),
        never=tuple(np.flatnonzero(counts == 0).tolist()),
        last=last,
    )


def findings(feed: Feed, epochs: list[EpochFacts]) -> list[str]:
    """What is wrong, a sentence each; empty if every example came once per epoch, or was drawn."""
    found = _gaps(feed)
    for facts in epochs:
        found += _resumed(feed, facts)
        if not feed.draws:
            found += _uneven(facts)
        elif facts.several_ranks and len(facts.several_ranks) == len(set(feed.examples.tolist())):
            found.append(f"Epoch {facts.epoch}: all processes were fed the same examples.")
    return found + _same_orders(feed, epochs)


def _uneven(facts: EpochFacts) -> list[str]:
    found: list[str] = []
    if facts.several_ranks:
        found.append(f"Epoch {facts.epoch}: {_named(facts.several_ranks, 'fed to more than one process')}.")
    alone = sorted(set(facts.more) - set(facts.several_ranks))
    if alone:
        found.append(f"Epoch {facts.epoch}: {_named(alone, 'fed more than once')}.")
    if facts.never:
        late = ", or not yet: it is the last epoch of the log" if facts.last else ""
        found.append(f"Epoch {facts.epoch}: {_named(facts.never, 'not fed')}{late}.")
    return found


def _named(examples: Sequence[int], what: str) -> str:
    some = ", ".join(map(str, examples[:_SHOWN])) + (", ..." if len(examples) > _SHOWN else "")
    return f"{len(examples):,} example{'s were' if len(examples) > 1 else ' was'} {what} ({some})"


def _resumed(feed: Feed, facts: EpochFacts) -> list[str]:
    """What went wrong where a process resumed in the middle of an epoch."""
    found: list[str] = []
    mine = feed.epochs == facts.epoch
    steps = np.unique(feed.steps[mine])
    for step in feed.resumes:
        before, after = steps[steps < step], steps[steps >= step]
        if not len(before) or not len(after) or feed.draws:
            continue
        where = f"Epoch {facts.epoch}, resumed at step {step}"
        first, last = _batch(feed, after[0]), _batch(feed, before[-1])
        fed = int((mine & (feed.steps < step)).sum())
        if first == last:
            found.append(f"{where}: the batch before the resume was fed again.")
        elif first == _batch(feed, steps[0]):
            found.append(f"{where}: the epoch began anew, and what was fed before came again.")
        elif len(facts.never) == fed and not facts.last:
            found.append(
                f"{where}: as many examples were left out as had been fed before ({fed}): "
                "the batches were skipped twice."
            )
        elif len(facts.never) == len(first) and not facts.last:
            found.append(f"{where}: as many examples were left out as a batch has: one batch was skipped.")
    return found


def _batch(feed: Feed, step: int) -> list[int]:
    """The examples of a step."""
    return feed.examples[_at(feed, step)].tolist()


def _at(feed: Feed, step: int) -> slice:
    low, high = np.searchsorted(feed.steps, [step, step + 1])
    return slice(int(low), int(high))


def _gaps(feed: Feed) -> list[str]:
    steps = np.unique(feed.steps)
    gaps = np.flatnonzero(np.diff(steps) > 1)
    found = [f"Steps {steps[gap] + 1} to {steps[gap + 1] - 1} are not in the log." for gap in gaps[:_SHOWN]]
    return found + ([f"{len(gaps) - _SHOWN} more gaps of steps."] if len(gaps) > _SHOWN else [])


def orders(feed: Feed) -> dict[int, bytes]:
    """Epoch -> its order of examples as bytes, over all processes."""
    return {epoch: feed.examples[feed.epochs == epoch].tobytes() for epoch in np.unique(feed.epochs).tolist()}


def _same_orders(feed: Feed, epochs: list[EpochFacts]) -> list[str]:
    seen: dict[bytes, int] = {}
    found: list[str] = []
    for epoch, order in orders(feed).items():
        if order in seen and feed.num_examples > 1:
            found.append(
                f"Epochs {seen[order]} and {epoch} have the same order: "
                "set_epoch was not called before the second."
            )
        seen.setdefault(order, epoch)
    return found


def shared_orders(feed: Feed, other: Feed, name: str) -> list[str]:
    """Epochs of another number that have the same order in two logs: orders made from `seed + epoch`."""
    theirs = {order: epoch for epoch, order in orders(other).items()}
    return [
        f"Epoch {epoch} has the order of epoch {theirs[order]} of {name}: orders made from seed + epoch, "
        "so that runs with neighbouring seeds are not independent."
        for epoch, order in orders(feed).items()
        if order in theirs and theirs[order] != epoch
    ]


@dataclass(frozen=True, kw_only=True)
class Jump:
    """A step at which the loss jumped.

    Attributes:
        step: The step.
        epoch: Its epoch.
        loss: Its loss.
        before: The median loss of the steps before it.
        rows: (example, rank, how many steps of the log had it) of its batch.
    """

    step: int
    epoch: int
    loss: float
    before: float
    rows: tuple[tuple[int, int, int], ...]


def jumps(feed: Feed, *, most: int = 3, window: int = 20, times: float = 6.0) -> list[Jump]:
    """The steps whose loss is above the median of those before by more than `times` their usual spread.

    Args:
        feed: The log.
        most: At most this many jumps, the highest first.
        window: Steps before it that a step is compared with.
        times: Median absolute deviations.
    """
    steps, starts = np.unique(feed.steps, return_index=True)
    sums = np.add.reduceat(feed.losses, starts)
    losses = sums / np.diff(np.append(starts, len(feed.steps)))
    found: list[tuple[float, int, float]] = []
    for place in range(min(5, len(steps)), len(steps)):
        past = losses[max(0, place - window) : place]
        middle = float(np.median(past))
        spread = float(np.median(np.abs(past - middle))) + 1e-3 * abs(middle) + 1e-12
        height = float(losses[place] - middle) / spread
        if height > times:
            found.append((height, place, middle))
    highest = sorted(found, reverse=True)[:most]
    return [_jump(feed, int(steps[place]), float(losses[place]), middle) for _, place, middle in highest]


def _jump(feed: Feed, step: int, loss: float, before: float) -> Jump:
    return Jump(step=step, epoch=epoch_at(feed, step), loss=loss, before=before, rows=rows_at(feed, step))


def epoch_at(feed: Feed, step: int) -> int:
    """The epoch of a step of the log."""
    return int(feed.epochs[_at(feed, step).start])


def rows_at(feed: Feed, step: int) -> tuple[tuple[int, int, int], ...]:
    """(example, rank, how many rows of the log are of that example) of each row of a step."""
    here = _at(feed, step)
    counts: Int[np.ndarray, " examples"] = np.bincount(feed.examples, minlength=feed.num_examples)
    examples = feed.examples[here].tolist()
    return tuple(
        (example, rank, int(counts[example]))
        for example, rank in zip(examples, feed.ranks[here].tolist(), strict=True)
    )
