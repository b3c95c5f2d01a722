"""The rules by which scores decide what is trained on: one file per family, and one contract in `_base`.

Each policy can be made by its class (`Sample("difficulty")`), by its name in experiment files with
underscores (`sample_difficulty()`), or by its name in the paper (`SD()`). Importing this imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from headrace.policies._base import BatchPolicy, Chosen, Epoch, Known, Plan, Policy
from headrace.policies.active_bias import ImportanceSample, Sample, Weight, smoothed
from headrace.policies.by_batch import GradientNorm, RhoLoss, SelectiveBackprop
from headrace.policies.curricula import Focal, InfoBatch, SelfPaced
from headrace.policies.partitioned import Partition, RandomPartition
from headrace.policies.plain import RandomSubsets, Shuffle, Uniform
from headrace.policies.ranked import OnlineBatchSelection, RecencyBias
from headrace.policies.registry import ACTIVE_BIAS, POLICIES, kinds_of, make_policy, settings_of
from headrace.policies.wrappers import Annealed, BurnIn, PerClass, Refreshed

__all__ = [
    "ACTIVE_BIAS",
    "POLICIES",
    "Annealed",
    "BatchPolicy",
    "BurnIn",
    "Chosen",
    "Epoch",
    "Focal",
    "GradientNorm",
    "ImportanceSample",
    "InfoBatch",
    "Known",
    "OnlineBatchSelection",
    "Partition",
    "PerClass",
    "Plan",
    "Policy",
    "RandomPartition",
    "RandomSubsets",
    "RecencyBias",
    "Refreshed",
    "RhoLoss",
    "Sample",
    "SelectiveBackprop",
    "SelfPaced",
    "Shuffle",
    "Uniform",
    "Weight",
    "kinds_of",
    "make_policy",
    "settings_of",
    "smoothed",
]


def __getattr__(name: str) -> Callable[..., Policy]:
    """`sample_difficulty`, `rho_loss`, `SD`, ...: the registry's names as Python names."""
    for known in (*POLICIES, *ACTIVE_BIAS):
        if known.replace("-", "_") == name:
            return partial(make_policy, known)
    raise AttributeError(f"module 'headrace.policies' has no attribute {name!r}")
