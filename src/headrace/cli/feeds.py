"""`feed`: what a training was fed, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.cli._common import Json, print_json, print_table, say
from headrace.cli._options import APath
from headrace.errors import InputError

if TYPE_CHECKING:
    from headrace.feeds.audit import EpochFacts
    from headrace.feeds.reading import Feed


def feed(
    directory: APath,
    *,
    step: int | None = None,
    against: APath | None = None,
    json: Json = False,
) -> int:
    """Show what a training was fed, from the log that a headrace.FeedLog kept in DIRECTORY.

    Which rows were in the batches where the loss jumped; and whether any row came twice, was left out or
    was seen by two processes, in any epoch and across resumes. Ends with code 1 if something is wrong.

    Example: headrace feed runs/first/feed --against runs/second/feed

    Args:
        directory: The folder of the log.
        step: Show the rows of this step.
        against: The log of a run with another seed, whose orders should be others.
    """
    from headrace.feeds import audit
    from headrace.feeds.reading import read

    log = read(directory)
    epochs = audit.epochs_of(log)
    wrong = audit.findings(log, epochs)
    if against is not None:
        wrong += audit.shared_orders(log, read(against), str(against))
    shown = _rows(log, step) if step is not None else []
    jumps = audit.jumps(log)
    if json:
        print_json(
            {
                "format": 1,
                "rows": len(log.steps),
                "discarded": log.discarded,
                "resumes": list(log.resumes),
                "epochs": [facts.as_json() for facts in epochs],
                "findings": wrong,
                "jumps": [vars(jump) for jump in jumps],
                "step": shown,
            }
        )
        return int(bool(wrong))
    _print(log, epochs)
    for jump in jumps:
        say(
            f"\nStep {jump.step} (epoch {jump.epoch}): "
            f"the loss jumped from {jump.before:.4g} to {jump.loss:.4g}."
        )
        print_table(("example", "process", "times fed in all"), jump.rows)
    if step is not None:
        print_table(("example", "process", "times fed in all"), shown, title=f"Step {step}")
    for sentence in wrong or ["Nothing is wrong: what was fed is what was meant."]:
        say(f"- {sentence}")
    return int(bool(wrong))


def _rows(log: Feed, step: int) -> list[tuple[int, int, int]]:
    from headrace.feeds.audit import rows_at

    found = rows_at(log, step)
    if not found:
        low, high = int(log.steps[0]), int(log.steps[-1])
        raise InputError(f"must be a step of the log, from {low} to {high}", where="--step", got=step)
    return list(found)


def _print(log: Feed, epochs: list[EpochFacts]) -> None:
    columns = ("epoch", "rows", "once", "more than once", "several processes", "never")
    table: list[tuple[Any, ...]] = [
        (facts.epoch, facts.rows, facts.once, len(facts.more), len(facts.several_ranks), len(facts.never))
        for facts in epochs
    ]
    print_table(columns, table)
    if log.resumes:
        steps = ", ".join(map(str, log.resumes))
        say(
            f"Resumed at step {steps}; {log.discarded:,} rows from before were trained on again or discarded."
        )
