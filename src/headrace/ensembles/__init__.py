"""Ensembles: members, streaming statistics over them, and acquisition functions.

Names are imported on first use: this room needs torch.
"""

from __future__ import annotations

from headrace.lazy import names_of

_HOMES = {
    "EnsembleStatistics": ".statistics",
    "Member": ".members",
    "InferencePlan": ".memory",
    "plan_inference": ".inference",
    "predict_members": ".inference",
    "Predictions": ".inference",
    "score_members": ".scoring",
    "as_chunks": ".scoring",
    "score_chunks": ".streaming",
    "Chunk": ".streaming",
    "acquisition": ".acquisition",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
