"""`run.json` of a training run of a search: its result, sealed. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from headrace.files import write_whole
from headrace.records import Record
from headrace.sealed import sealed, unsealed

RUN = "run.json"


class RunRecord(Record):
    """The result of a run.

    Attributes:
        key: Of all that the run depends on, and therefore its folder's name; empty in older files.
        examples_trained: With repetition.
        metrics: At its end.
        seconds: How long it took.
        weights: Step -> SHA-256 of the checkpoint.
    """

    format: Literal[1, 2] = 2
    key: str = ""
    examples_trained: int = Field(ge=0)
    metrics: dict[str, float]
    seconds: float = Field(ge=0, allow_inf_nan=False)
    weights: dict[str, str] = Field(default_factory=dict)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where a run keeps its weights after `step` updates."""
    return folder / f"step-{step}.safetensors"


def write_run(folder: Path, record: RunRecord) -> None:
    """Leave the record of a finished run.

    Raises:
        StorageError: It cannot be written.
    """
    write_whole(folder / RUN, sealed(json.dumps(record.model_dump(), indent=1).encode()))


def read_run(folder: Path) -> RunRecord | None:
    """The record of a finished run; None without a whole one: then the run is done again."""
    try:
        content: Any = json.loads(unsealed(folder / RUN, older=True))
        if content.get("format") == 1:
            content["weights"] = content.pop("sha256", {})
        record = RunRecord.model_validate(content)
    except (OSError, ValueError, ValidationError, AttributeError, RecursionError):
        return None
    return record if record.key in ("", folder.name) else None
