"""The names that policies have in experiment files. Imports no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headrace.checks import flag, text, whole
from headrace.errors import InputError, closest
from headrace.homes import Entry
from headrace.policies._base import Policy
from headrace.policies.wrappers import Annealed, BurnIn, PerClass, Refreshed

_ROOM = "headrace.policies."
_SAMPLE = _ROOM + "active_bias:Sample"
_IMPORTANCE = _ROOM + "active_bias:ImportanceSample"
_WEIGHT = _ROOM + "active_bias:Weight"
_PARTITION = _ROOM + "partitioned:Partition"


@dataclass(frozen=True, kw_only=True)
class PolicyEntry(Entry):
    """A policy.

    Attributes:
        given: The first settings of its class, where the name says them.
        wrapped: Settings of wrappers that it has by default.
    """

    given: tuple[Any, ...] = ()
    wrapped: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def find(self) -> Callable[..., Policy]:
        """What makes the policy of its other settings."""
        made = super().find()
        return partial(made, *self.given) if self.given else made


# The partitions by score need two observations of each example, and an epoch more for batches between epochs.
POLICIES: dict[str, PolicyEntry] = {
    "shuffle": PolicyEntry(home=_ROOM + "plain:Shuffle"),
    "uniform": PolicyEntry(home=_ROOM + "plain:Uniform"),
    "sample-difficulty": PolicyEntry(home=_SAMPLE, given=("difficulty",)),
    "sample-easiness": PolicyEntry(home=_SAMPLE, given=("easiness",)),
    "sample-prediction-variance": PolicyEntry(home=_SAMPLE, given=("prediction-variance",)),
    "sample-threshold-closeness": PolicyEntry(home=_SAMPLE, given=("threshold-closeness",)),
    "importance-difficulty": PolicyEntry(home=_IMPORTANCE, given=("difficulty",)),
    "importance-easiness": PolicyEntry(home=_IMPORTANCE, given=("easiness",)),
    "importance-prediction-variance": PolicyEntry(home=_IMPORTANCE, given=("prediction-variance",)),
    "importance-threshold-closeness": PolicyEntry(home=_IMPORTANCE, given=("threshold-closeness",)),
    "weight-difficulty": PolicyEntry(home=_WEIGHT, given=("difficulty",)),
    "weight-easiness": PolicyEntry(home=_WEIGHT, given=("easiness",)),
    "weight-prediction-variance": PolicyEntry(home=_WEIGHT, given=("prediction-variance",)),
    "weight-threshold-closeness": PolicyEntry(home=_WEIGHT, given=("threshold-closeness",)),
    "sample": PolicyEntry(home=_SAMPLE),
    "importance-sample": PolicyEntry(home=_IMPORTANCE),
    "weight": PolicyEntry(home=_WEIGHT),
    "gradient-norm": PolicyEntry(home=_ROOM + "by_batch:GradientNorm"),
    "selective-backprop": PolicyEntry(home=_ROOM + "by_batch:SelectiveBackprop"),
    "online-batch-selection": PolicyEntry(home=_ROOM + "ranked:OnlineBatchSelection"),
    "rho-loss": PolicyEntry(home=_ROOM + "by_batch:RhoLoss"),
    "infobatch": PolicyEntry(home=_ROOM + "curricula:InfoBatch"),
    "recency-bias": PolicyEntry(home=_ROOM + "ranked:RecencyBias"),
    "self-paced": PolicyEntry(home=_ROOM + "curricula:SelfPaced"),
    "focal": PolicyEntry(home=_ROOM + "curricula:Focal"),
    "rs2": PolicyEntry(home=_ROOM + "plain:RandomSubsets"),
    "partition-stripes": PolicyEntry(home=_PARTITION, given=("stripes",), wrapped={"burn_in_epochs": 3}),
    "partition-blocks": PolicyEntry(home=_PARTITION, given=("blocks",), wrapped={"burn_in_epochs": 3}),
    "partition-random": PolicyEntry(home=_ROOM + "partitioned:RandomPartition"),
}
"""Name -> policy. `sample`, `importance-sample` and `weight` take the score as a setting."""

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
                f"unknown setting of the policy {name}",
                where="policy",
                got=setting,
                fix=f"Known: {', '.join(known)}.",
            )
    settings = {**_entry(name).wrapped, **settings}
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
    return _entry(name).find()


def _entry(name: str) -> PolicyEntry:
    own = ACTIVE_BIAS.get(name, name)
    if own not in POLICIES:
        guess = closest(name, [*POLICIES, *ACTIVE_BIAS], most=3, cutoff=0.4)
        fix = guess or f"Known: {', '.join(POLICIES)}."
        raise InputError("unknown policy", where="policy", got=name, fix=fix)
    return POLICIES[own]
