"""Frozen records, and what is wrong with one in words. How they are kept: `headrace.sealed`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """A frozen record; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def first_finding(error: ValidationError) -> str:
    """The first thing that is wrong with a record, and its key."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    return f"{key}: {first['msg']}" if key else first["msg"]
