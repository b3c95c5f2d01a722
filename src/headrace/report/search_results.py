"""`results.json` of a subset search as the report reads it: its form is checked, whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from headrace.errors import DamagedError, InputError
from headrace.report.write import read_json

Span = tuple[float, float]


class _Row(TypedDict):
    group: str
    size: int
    share: float
    mean: float
    interval: Span | None
    seeds: int


class _Group(TypedDict):
    group: str
    difference: float
    interval: Span
    verdict: str


class _Comparison(TypedDict):
    size: int
    baseline: str
    groups: list[_Group]


class _Spent(TypedDict):
    seed: int
    group: str
    stage: str
    size: int
    examples_trained: int
    examples_scored: int
    labels_bought: int


class _Cost(TypedDict):
    planned: list[_Spent]
    spent: list[_Spent]
    examples_trained: int
    examples_scored: int


class _Select(TypedDict):
    name: str


class _Method(TypedDict):
    name: str
    acquisition: str | None
    select: _Select


class _Transfer(TypedDict):
    name: str
    metric: str
    table: list[_Row]
    comparisons: list[_Comparison]


class _Results(TypedDict):
    conclusions: list[str]
    workload: str
    metric: str
    examples: int
    seeds: int
    acquisition: list[str]
    methods: list[_Method]
    subset: str | None
    table: list[_Row]
    comparisons: list[_Comparison]
    transfers: NotRequired[list[_Transfer]]
    cost: _Cost


def read_results(directory: Path) -> dict[str, Any]:
    """The results in a search's folder.

    Raises:
        InputError: The search has not come to any results yet.
        DamagedError: The file does not hold a search's results.
    """
    path = directory / "results.json"
    found = read_json(path)
    fix = "Give headrace subset again."
    if not found:
        raise InputError("the search has no results yet", where=str(directory), fix=fix)
    try:
        TypeAdapter(_Results).validate_python(found)
        if not found["conclusions"] or found["examples"] < 1:
            raise ValueError("it concludes nothing")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        what = f"does not hold the results of a search ({place}: {first['msg']})"
        raise DamagedError(what, where=str(path), fix=fix) from None
    except ValueError as error:
        raise DamagedError(
            f"does not hold the results of a search ({error})", where=str(path), fix=fix
        ) from None
    return {"transfers": []} | found
