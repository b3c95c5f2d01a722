"""The names that policies have in experiment files. Imports no torch."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from headrace.checks import flag, text, whole
from headrace.errors import InputError
from headrace.policies._base import Policy
from headrace.policies.active_bias import ImportanceSample, Sample, Weight
from headrace.policies.by_batch import GradientNorm, RhoLoss, SelectiveBackprop
from headrace.policies.curricula import Focal, InfoBatch, SelfPaced
from headrace.policies.partitioned import Partition, RandomPartition
from headrace.policies.plain import RandomSubsets, Shuffle, Uniform
from headrace.policies.ranked import OnlineBatchSelection, RecencyBias
from headrace.policies.wrappers import Annealed, BurnIn, PerClass, Refreshed

POLICIES: dict[str, Callable[..., Policy]] = {
    "shuffle": Shuffle,
    "uniform": Uniform,
    "sample-difficulty": partial(Sample, "difficulty"),
    "sample-easiness": partial(Sample, "easiness"),
    "sample-prediction-variance": partial(Sample, "prediction-variance"),
    "sample-threshold-closeness": partial(Sample, "threshold-closeness"),
    "importance-difficulty": partial(ImportanceSample, "difficulty"),
    "importance-easiness": partial(ImportanceSample, "easiness"),
    "importance-prediction-variance": partial(ImportanceSample, "prediction-variance"),
    "importance-threshold-closeness": partial(ImportanceSample, "threshold-closeness"),
    "weight-difficulty": partial(Weight, "difficulty"),
    "weight-easiness": partial(Weight, "easiness"),
    "weight-prediction-variance": partial(Weight, "prediction-variance"),
    "weight-threshold-closeness": partial(Weight, "threshold-closeness"),
    "sample": Sample,
    "importance-sample": ImportanceSample,
    "weight": Weight,
    "gradient-norm": GradientNorm,
    "selective-backprop": SelectiveBackprop,
    "online-batch-selection": OnlineBatchSelection,
    "rho-loss": RhoLoss,
    "infobatch": InfoBatch,
    "recency-bias": RecencyBias,
    "self-paced": SelfPaced,
    "focal": Focal,
    "rs2": RandomSubsets,
    "partition-stripes": partial(Partition, "stripes"),
    "partition-blocks": partial(Partition, "blocks"),
    "partition-random": RandomPartition,
}
"""Name -> what makes the policy. `sample`, `importance-sample` and `weight` take the score as a setting."""

ACTIVE_BIAS: dict[str, str] = {
    "SGD-Scan": "shuffle",
    "SGD-Uni": "uniform",
    "SD": "sample-difficulty",
    "SE": "sample-easiness",
    "SPV": "sample-prediction-variance",
    "SPTC": "sample-threshold-closeness",
    "STC": "sample-threshold-closeness",
    "ISD": "importance-difficulty",
    "ISE": "importance-easiness",
    "ISPV": "importance-prediction-variance",
    "ISPTC": "importance-threshold-closeness",
    "ISTC": "importance-threshold-closeness",
    "WD": "weight-difficulty",
    "WE": "weight-easiness",
    "WPV": "weight-prediction-variance",
    "WPTC": "weight-threshold-closeness",
    "WTC": "weight-threshold-closeness",
}
"""The names of Chang et al. 2017 -> ours; every name is accepted wherever ours is."""

WRAPPERS: dict[str, Callable[[Policy, Any], Policy]] = {
    "annealing_epochs": lambda policy, epochs: Annealed(policy, epochs=epochs),
    "per_class": lambda policy, wanted: PerClass(policy) if flag(wanted, "per_class") else policy,
    "burn_in_epochs": lambda policy, epochs: BurnIn(policy, epochs=epochs) if epochs else policy,
    "refresh_epochs": lambda policy, epochs: Refreshed(policy, epochs=epochs),
}
"""Settings that every policy takes -> the wrapper they put on, innermost first."""


DEFAULTS: dict[str, dict[str, Any]] = {
    "partition-stripes": {"burn_in_epochs": 3},
    "partition-blocks": {"burn_in_epochs": 3},
}
"""Policy -> settings of wrappers that it has where they are not given: two observations of every example, and
an epoch more for batches that straddle epochs."""


def settings_of(name: str) -> tuple[str, ...]:
    """The settings that the policy `name` takes, those of the wrappers last."""
    return (*inspect.signature(_constructor(name)).parameters, *WRAPPERS)


def kinds_of(name: str) -> dict[str, type]:
    """The settings of the policy `name` -> what their values are: bool, int, float or str."""
    named = inspect.signature(_constructor(name)).parameters
    kinds: dict[str, type] = {"bool": bool, "int": int, "Score": str}
    own = {setting: kinds.get(str(parameter.annotation), float) for setting, parameter in named.items()}
    return own | {setting: bool if setting == "per_class" else int for setting in WRAPPERS}


def make_policy(name: str, /, *values: Any, **settings: Any) -> Policy:
    """The policy `name` with these settings, its own and those of the wrappers.

    Args:
        name: A name in `POLICIES` or `ACTIVE_BIAS`.
        *values: Own settings by position.
        **settings: See `settings_of`.

    Raises:
        InputError: An unknown name or setting, or a value that the policy refuses.
    """
    constructor = _constructor(text(name, "policy"))
    known = settings_of(name)
    if len(values) > len(known) - len(WRAPPERS):
        raise InputError(
            f"{name} takes at most {len(known) - len(WRAPPERS)} settings by position",
            where="policy",
            got=len(values),
        )
    for setting in settings:
        if setting not in known:
            raise InputError(
                f"no such setting of the policy {name}",
                where="policy",
                got=setting,
                fix=f"One of {', '.join(known)}.",
            )
    settings = DEFAULTS.get(ACTIVE_BIAS.get(name, name), {}) | settings
    policy = constructor(*values, **{key: value for key, value in settings.items() if key not in WRAPPERS})
    if whole(settings.get("burn_in_epochs", 0), "burn_in_epochs", least=0) < policy.least_burn_in:
        raise InputError(
            f"{name} needs at least {policy.least_burn_in} to have a score of every example",
            where="burn_in_epochs",
            got=settings.get("burn_in_epochs", 0),
        )
    for setting, wrap in WRAPPERS.items():
        if setting in settings:
            policy = wrap(policy, settings[setting])
    return policy


def _constructor(name: str) -> Callable[..., Policy]:
    own = ACTIVE_BIAS.get(name, name)
    if own not in POLICIES:
        close = difflib.get_close_matches(name, [*POLICIES, *ACTIVE_BIAS], n=3, cutoff=0.4)
        fix = f"Did you mean {' or '.join(close)}?" if close else f"One of {', '.join(POLICIES)}."
        raise InputError("no such policy", where="policy", got=name, fix=fix)
    return POLICIES[own]
