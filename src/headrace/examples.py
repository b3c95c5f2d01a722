"""The name that `headrace.histories` had before; code written then goes on working."""

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
