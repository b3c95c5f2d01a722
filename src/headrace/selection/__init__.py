"""Selection: from scores, features or probabilities to indices. The contract is in `_base`."""

from headrace.selection.balanced import class_balanced, stratified
from headrace.selection.farthest import k_center, score_distance
from headrace.selection.gradients import badge
from headrace.selection.joint_entropy import batch_bald
from headrace.selection.ranked import power, top_k

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
