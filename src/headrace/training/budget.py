"""How long a trial may train, and at which steps it is evaluated. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable

from headrace.errors import InputError

MOST_EVALUATIONS = 1_000_000
"""Of one trial: each is a pass over the validation set, and a row that is kept."""


def budget_steps(
    batch_size: int,
    num_examples: int,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    tokens: float | None = None,
    tokens_per_example: float | None = None,
) -> int:
    """The step budget of a trial.

    A step budget is itself. An epoch budget allows `epochs * num_examples` examples, so all steps with
    `batch_size * step <= epochs * num_examples` (Shallue et al. 2019): step budgets favour large batches,
    epoch budgets small ones. A budget of tokens allows all steps with
    `batch_size * tokens_per_example * step <= tokens`.

    Args:
        batch_size: Examples per step.
        num_examples: Examples in the training set.
        steps: The budget in steps, or
        epochs: the budget in passes over the training set, not necessarily whole, or
        tokens: the budget in tokens.
        tokens_per_example: How many tokens an example has, on average; needed for a budget of tokens.

    Raises:
        InputError: Not exactly one of the three is given, the budget allows no step, or it is in tokens and
            examples have none.
    """
    given = {"steps": steps, "epochs": epochs, "tokens": tokens}
    if sum(value is not None for value in given.values()) != 1:
        raise InputError("give either steps, epochs or tokens", where="budget", got=given)
    if tokens is not None:
        epochs = _epochs(tokens, tokens_per_example, num_examples)
    # The tolerance keeps 0.1 epochs of 30 examples at 3 examples: the product is a rounding error less.
    allowed = steps if steps is not None else int((epochs or 0.0) * num_examples * (1 + 1e-12) / batch_size)
    if allowed < 1:
        raise InputError(
            "the budget allows no step at this batch size",
            where="budget",
            got={"batch_size": batch_size, **{name: v for name, v in given.items() if v is not None}},
            fix="Give a larger budget or a smaller batch.",
        )
    return allowed


def _epochs(tokens: float, tokens_per_example: float | None, num_examples: int) -> float:
    """A budget of tokens in passes over the training set."""
    if not tokens_per_example:
        raise InputError(
            "a budget in tokens needs a workload that counts tokens",
            where="budget.tokens",
            got=tokens,
            fix='Give steps or epochs, or state targets="tokens" in the workload.',
        )
    return tokens / tokens_per_example / num_examples


def evaluation_steps(budget_steps: int, ratio: float = 1.05, every: int | None = None) -> list[int]:
    """The steps at which a trial is evaluated: strictly increasing from 0 to `budget_steps`.

    Geometric by default: after step s comes `max(s + 1, floor(s * ratio))`, so that the steps to result have
    a constant relative resolution and evaluations cost only the logarithm of the budget. The steps
    do not depend on the budget, except the last, which is the budget.

    Args:
        budget_steps: The last step, at least 1.
        ratio: How much later each evaluation is than the last, more than 1.
        every: Instead, evaluate at every multiple of this number of steps.

    Raises:
        InputError: An argument is out of range, or there would be more than `MOST_EVALUATIONS`.
    """
    for what, value, allowed in (
        ("the budget must be at least 1 step", budget_steps, budget_steps >= 1),
        ("ratio must be more than 1", ratio, 1 < ratio < float("inf")),
        ("every must be at least 1 step", every, every is None or every >= 1),
    ):
        if not allowed:
            raise InputError(what, where="evaluation", got=value)
    following = _following(ratio, every)
    steps: list[int] = []
    step = 0
    while step < budget_steps:
        if len(steps) == MOST_EVALUATIONS:
            raise InputError(
                f"a trial would be evaluated more than {MOST_EVALUATIONS:,} times",
                where="evaluation",
                got={
                    "budget_steps": budget_steps,
                    **({"ratio": ratio} if every is None else {"every": every}),
                },
                fix="Use a larger ratio or every, or a smaller budget.",
            )
        steps.append(step)
        step = following(step)
    return [*steps, budget_steps]


def _following(ratio: float, every: int | None) -> Callable[[int], int]:
    """The function that gives the next evaluated step."""
    if every is not None:
        return lambda step: step + every
    return lambda step: max(step + 1, int(min(step * ratio, 1e18)))
