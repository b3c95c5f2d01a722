"""The earlier name of `headrace.histories`; code that uses it still works."""

from headrace.histories import (
    SCORES,
    History,
    LabelWindow,
    LossHistory,
    Score,
    SharedHistory,
    fingerprint,
    scores,
    smoothed,
)

__all__ = [
    "SCORES",
    "History",
    "LabelWindow",
    "LossHistory",
    "Score",
    "SharedHistory",
    "fingerprint",
    "scores",
    "smoothed",
]
