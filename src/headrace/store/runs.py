"""`run.json` of a training run of a search: its result, sealed. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from headrace.errors import DamagedError
from headrace.records import Record
from headrace.sealed import read_record, write_record

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

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, content: Any) -> Any:
        """The first format called the checksums of its weights otherwise."""
        if not isinstance(content, dict) or content.get("format") != 1:
            return content
        return {("weights" if key == "sha256" else key): value for key, value in content.items()}


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where a run keeps its weights after `step` updates."""
    return folder / f"step-{step}.safetensors"


def write_run(folder: Path, record: RunRecord) -> None:
    """Leave the record of a finished run.

    Raises:
        StorageError: It cannot be written.
    """
    # Laid out by the standard library, as such files have always been.
    write_record(folder / RUN, record, body=json.dumps(record.model_dump(), indent=1).encode())


def read_run(folder: Path) -> RunRecord | None:
    """The record of a finished run; None without a whole one: then the run is done again."""
    try:
        record = read_record(folder / RUN, RunRecord, fix="Run again.")
    except (OSError, DamagedError):
        return None
    return record if record is not None and record.key in ("", folder.name) else None
