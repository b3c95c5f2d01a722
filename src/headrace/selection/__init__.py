"""Selection: from scores, features or probabilities to indices. The contract is in `_base`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.selection.balanced import class_balanced, stratified
from headrace.selection.farthest import k_center, score_distance
from headrace.selection.gradients import badge
from headrace.selection.joint_entropy import batch_bald
from headrace.selection.ranked import power, top_k
from headrace.selection.registry import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "badge",
    "batch_bald",
    "class_balanced",
    "k_center",
    "power",
    "score_distance",
    "stratified",
    "top_k",
]


def __getattr__(name: str) -> Callable[..., Any]:
    """The strategies of other files, which the registry names."""
    if name not in FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return FUNCTIONS[name].find()
