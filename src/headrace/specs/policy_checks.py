"""What can be wrong with the policies of an experiment file and their settings; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from headrace.errors import InputError, closest, did_you_mean
from headrace.policies import ACTIVE_BIAS, POLICIES, kinds_of, make_policy
from headrace.specs.limits import MOST_COUNTED
from headrace.specs.space import AnyEntry, Choices, Range
from headrace.training.recipe import is_number

if TYPE_CHECKING:
    from headrace.specs.tables import Tables

KINDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
"""What a setting's value is, in words."""


def policy_errors(experiment: Tables) -> Iterator[InputError]:
    """Unknown policies, settings of policies that are not in the grid, and settings that a policy refuses."""
    grid = experiment.grid.policy
    for name in grid:
        if name not in POLICIES:
            guess = closest(name, [*POLICIES, *ACTIVE_BIAS])
            fix = f"{guess} Known: {', '.join(POLICIES)}.".lstrip()
            yield InputError("unknown policy", where="grid.policy", got=name, fix=fix)
    for name, settings in experiment.search.policy.items():
        where = f"search.policy.{name}"
        if name not in grid:
            yield InputError(
                "has no effect: the policy is not in the grid",
                where=where,
                got=name,
                fix=f"{closest(name, grid)}Add it to grid.policy, or leave its settings out.",
            )
        elif name in POLICIES:
            yield from _setting_errors(name, where, settings)


def _setting_errors(policy: str, where: str, settings: Mapping[str, AnyEntry]) -> Iterator[InputError]:
    kinds = kinds_of(policy)
    for setting, entry in settings.items():
        if setting not in kinds:
            yield InputError(
                f"unknown setting of the policy {policy}",
                where=f"{where}.{setting}",
                fix=did_you_mean(setting, kinds),
            )
            continue
        yield from _value_errors(policy, f"{where}.{setting}", setting, entry, kinds[setting])


def _value_errors(policy: str, where: str, setting: str, entry: AnyEntry, kind: type) -> Iterator[InputError]:
    """Each end, choice or constant alone: of the right kind, and accepted by the policy."""
    if kind in (bool, str) and isinstance(entry, Range | Choices):
        yield InputError(f"must be {KINDS[kind]}, and cannot be tuned", where=where)
        return
    for key, value in _values(where, entry):
        if not _is(value, kind, tuned=isinstance(entry, Range | Choices)):
            yield InputError(f"must be {KINDS[kind]}", where=key, got=value)
            continue
        if kind is int and not isinstance(value, str) and value > MOST_COUNTED:
            yield InputError(f"must be at most {MOST_COUNTED:,}", where=key, got=value)
            continue
        try:
            make_policy(policy, **{setting: int(value) if kind is int else value})
        except InputError as error:
            yield InputError(error.what, where=key, got=value, fix=error.fix)


def _values(where: str, entry: AnyEntry) -> list[tuple[str, bool | float | int | str]]:
    if isinstance(entry, Range):
        return [(f"{where}.low", entry.low), (f"{where}.high", entry.high)]
    return [(where, value) for value in (entry.choices if isinstance(entry, Choices) else (entry,))]


def _is(value: bool | float | int | str, kind: type, *, tuned: bool) -> bool:
    """Whether a value is of a kind; in ranges and choices whole numbers are read as floats."""
    if kind in (bool, str) or isinstance(value, bool | str):
        return isinstance(value, kind)
    if not is_number(value):
        return False
    return kind is float or isinstance(value, int) or (tuned and value.is_integer())
