"""What a sampler is given, checked: its source of examples, arrays, a history, a loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.checks import array, choice, finite, whole
from headrace.errors import InputError
from headrace.sampling.loaders import Caller
from headrace.sampling.plan import Planner
from headrace.sampling.planning import Draw, EveryExample, GivenWeights, WeightSource


def source(examples: int | WeightSource, policy: Planner | None, draw: Draw) -> tuple[int, Planner]:
    """The number of examples and what plans, from a number or a source of weights."""
    if policy is not None and not (hasattr(policy, "plan") and hasattr(policy, "assess")):
        known = isinstance(policy, str)
        fix = f"Make it: headrace.policies.make_policy({policy!r})." if known else "See headrace.policies."
        raise InputError("must be a policy, not its name", where="policy", got=policy, fix=fix)
    choice(draw, "draw", ("independent", "systematic", "without-replacement"))
    if not callable(examples) and not isinstance(examples, list | tuple) and not getattr(examples, "ndim", 0):
        count = whole(examples, "examples")
        if count < 1:
            raise InputError("there must be at least one example", where="examples", got=count)
        if draw != "independent":
            raise InputError("has no effect without weights", where="draw", got=draw)
        return count, EveryExample() if policy is None else policy
    if policy is not None:
        raise InputError(
            "weights and a policy were given, but only one can decide",
            where="ExampleSampler",
            fix="Give the number of examples and the policy, or only the weights.",
        )
    given = GivenWeights(examples, draw)
    return len(given.weights()), given


def per_example(given: npt.ArrayLike | None, count: int, where: str, kind: type) -> np.ndarray | None:
    """One finite number for each of `count` examples, as an array of this type, or None for None."""
    if given is None:
        return None
    of = f"one number for each of {count} examples"
    values = array(given, where, of, "whole numbers" if kind is np.int64 else "numbers")
    if values.shape != (count,):
        raise InputError(f"must be {of}", where=where, got=values.shape)
    return finite(values, where)


def recorder(given: Any, where: str) -> Any:
    """A history or a window of labels, or None.

    Raises:
        InputError: Something that does not count observations of examples.
    """
    if isinstance(given, str | bytes | complex | float | int | list | tuple | dict | np.ndarray):
        raise InputError("must be an object that records the examples", where=where, got=type(given).__name__)
    return given


def check_finite_history(history: Any, needs: frozenset[Any]) -> None:
    """`InputError` if a history that a policy reads holds a loss that is NaN or infinite."""
    if "history" not in needs or not hasattr(history, "mean"):
        return
    bad = ~history.mean("loss").isfinite()
    if bad.any():
        raise InputError(
            f"the losses recorded for example {int(bad.nonzero()[0])} are not finite, so it has no score",
            where="history",
            fix="The model gave NaN or infinite outputs: lower the learning rate, or resume from before.",
        )


def listen(history: Any, listener: Callable[[Any], None]) -> None:
    """Let a history say which examples it records."""
    if hasattr(history, "listen"):
        history.listen(listener)


def check_nothing_dropped(by: Caller, examples: int, ranks: int) -> None:
    """`InputError` if a loader would drop examples.

    Args:
        by: Whether it drops the last of single examples, or divides a rank's part once more.
        examples: Single examples of this rank; 0 if the sampler makes batches.
        ranks: How many there are.
    """
    if by.divides is not None and ranks > 1:
        raise InputError(
            f"{by.divides} would divide this rank's part of the batches among all {ranks} ranks once more, "
            "and most examples would never be trained on",
            where="ExampleSampler",
            fix="Keep the loader out of accelerator.prepare (headrace.integrations.accelerate.prepared takes "
            "its place), and in Lightning set use_distributed_sampler=False.",
        )
    if by.batch is not None and examples % by.batch:
        raise InputError(
            f"the loader would drop the last {examples % by.batch} of this rank's {examples} examples",
            where="drop_last",
            fix=f'Let the sampler make the batches: ExampleSampler(..., batch_size={by.batch}, last="drop"), '
            "and DataLoader(..., batch_sampler=sampler); or leave drop_last out.",
        )
