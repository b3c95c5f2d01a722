"""What a sampler is given, checked: its source of examples, and arrays of one entry per example."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.arrays import on_host
from headrace.errors import InputError
from headrace.sampling.plan import Planner
from headrace.sampling.planning import Draw, EveryExample, GivenWeights, WeightSource


def source(examples: int | WeightSource, policy: Planner | None, draw: Draw) -> tuple[int, Planner]:
    """The number of examples and what plans, from a number or a source of weights."""
    if isinstance(policy, str):
        fix = f"Make it: headrace.policies.make_policy({policy!r})."
        raise InputError("must be a policy, not its name", where="policy", got=policy, fix=fix)
    if isinstance(examples, int | np.integer):
        if examples < 1:
            raise InputError("there must be at least one example", where="examples", got=int(examples))
        if draw != "independent":
            raise InputError("has no effect without weights", where="draw", got=draw)
        return int(examples), EveryExample() if policy is None else policy
    if policy is not None:
        raise InputError(
            "weights and a policy were given, but only one can decide",
            where="ExampleSampler",
            fix="Give the number of examples and the policy, or the weights alone.",
        )
    given = GivenWeights(examples, draw)
    return len(given.weights()), given


def per_example(given: npt.ArrayLike | None, count: int, where: str, kind: type) -> np.ndarray | None:
    """One finite number for each of `count` examples, as an array of this type, or None for None."""
    if given is None:
        return None
    values = on_host(given, kind)
    if values.shape != (count,):
        raise InputError(f"must be one number for each of {count} examples", where=where, got=values.shape)
    if not np.isfinite(values).all():
        raise InputError("must be finite", where=where, got=float(values[~np.isfinite(values)][0]))
    return values
