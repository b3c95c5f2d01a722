"""Facts about each training example: histories of predictions, and scores computed from them.

Names are imported on first use: `headrace.histories.registry` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.histories import scores as scores
    from headrace.histories.history import History as History
    from headrace.histories.history import LossHistory as LossHistory
    from headrace.histories.labels import LabelWindow as LabelWindow
    from headrace.histories.score import Score as Score
    from headrace.histories.scores import SCORES as SCORES
    from headrace.histories.scores import smoothed as smoothed
    from headrace.histories.shared import SharedHistory as SharedHistory
    from headrace.histories.storage import fingerprint as fingerprint

_HOMES: dict[str, str] = {
    "SCORES": "scores",
    "History": "history",
    "LabelWindow": "labels",
    "LossHistory": "history",
    "Score": "score",
    "SharedHistory": "shared",
    "fingerprint": "storage",
    "smoothed": "scores",
}
"""Public name -> the module of this package where it lives."""


def __getattr__(name: str) -> Any:
    if name == "scores":
        return import_module("headrace.histories.scores")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "scores"])
