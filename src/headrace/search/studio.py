"""Label Studio's JSON: the classes that annotators chose in the control `label`. Pure functions of JSON.

A task holds annotations, an annotation results, and a result says by `from_name` of which control it is.
Predictions and drafts are not annotations; cancelled ones, and those that a review rejected, say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.errors import InputError

CONTROL = "label"
_FIX = "Export as JSON, JSON-MIN or CSV."


def is_task(row: Mapping[str, Any]) -> bool:
    """Whether a row is a task with its annotations, and not a row of JSON-MIN."""
    return "annotations" in row


def labels_of(task: Mapping[str, Any], place: str) -> tuple[list[Any], set[str]]:
    """What the annotators of a task chose.

    Args:
        task: The task.
        place: For messages.

    Returns:
        Every class chosen in the control `label`, and the names of all other controls with results.

    Raises:
        InputError: It is not as Label Studio exports it, or `label` is not a control of choices.
    """
    labels: list[Any] = []
    others: set[str] = set()
    for result in _results(task["annotations"], place):
        name = result.get("from_name")
        if name == CONTROL:
            labels += _choices(result, place)
        else:
            others.add(str(name))
    return labels, others


def _results(annotations: Any, place: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(annotations, list):
        raise _unlike(annotations, place)
    for annotation in annotations:
        if not isinstance(annotation, Mapping) or not isinstance(annotation.get("result", []), list):
            raise _unlike(annotations, place)
        if annotation.get("was_cancelled") or _rejected(annotation, place):
            continue
        for result in annotation.get("result", []):
            if not isinstance(result, Mapping) or not isinstance(result.get("value", {}), Mapping):
                raise _unlike(annotations, place)
            yield result


def _rejected(annotation: Mapping[str, Any], place: str) -> bool:
    """Whether the last review of an annotation rejected it: then its task waits for another."""
    reviews = annotation.get("reviews") or []
    if not isinstance(reviews, list) or not all(isinstance(review, Mapping) for review in reviews):
        raise _unlike(reviews, place)
    return bool(reviews) and reviews[-1].get("accepted") is False


def _choices(result: Mapping[str, Any], place: str) -> list[Any]:
    kind, chosen = result.get("type", "choices"), result.get("value", {}).get("choices")
    if kind != "choices" or not isinstance(chosen, list):
        raise InputError(
            f"the control {CONTROL!r} is not one of choices",
            where=place,
            got=kind,
            fix=f"Name the Choices control that holds the class {CONTROL!r}, and no other.",
        )
    return chosen


def _unlike(annotations: Any, place: str) -> InputError:
    return InputError(
        "the annotations are not as Label Studio exports them", where=place, got=annotations, fix=_FIX
    )
