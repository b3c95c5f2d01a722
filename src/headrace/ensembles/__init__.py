"""Ensembles: members, streaming statistics over them, and acquisition functions.

Names are imported on first use: this room needs torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "EnsembleStatistics": "statistics",
    "Member": "members",
    "InferencePlan": "memory",
    "plan_inference": "inference",
    "predict_members": "inference",
    "Predictions": "inference",
    "score_members": "scoring",
    "as_chunks": "scoring",
    "score_chunks": "streaming",
    "Chunk": "streaming",
    "acquisition": "",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace.ensembles' has no attribute {name!r}")
    home = _HOMES[name]
    return getattr(import_module(f"{__name__}.{home}"), name) if home else import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
