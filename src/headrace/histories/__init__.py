"""Facts about each training example: histories of predictions, and scores computed from them.

Names are imported on first use: `headrace.histories.registry` needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lazy import names_of

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
    "SCORES": ".scores",
    "History": ".history",
    "LabelWindow": ".labels",
    "LossHistory": ".history",
    "Score": ".score",
    "SharedHistory": ".shared",
    "fingerprint": ".storage",
    "smoothed": ".scores",
    "scores": ".scores",
}
"""Public name -> the module where it lives, or that it is."""

__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
