"""A sampler's saved state, checked before any of it is restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.checks import flag, instance, numeric, whole
from headrace.errors import InputError
from headrace.sampling.course import Place

_WHERE = "ExampleSampler.load_state_dict"


@dataclass(frozen=True, kw_only=True)
class Saved:
    """Where a saved sampler was.

    Attributes:
        epoch: The epoch.
        place: The place in it.
        plan: The checksum of its plan, if it was begun and not over.
    """

    epoch: int
    place: Place
    plan: int | None


def resumed(state: Any, mine: Mapping[str, Any], batch_size: int | None) -> Saved:
    """What a state says, if it fits this sampler.

    Args:
        state: What `state_dict` gave. States of earlier versions do not count items.
        mine: What must be the same.
        batch_size: This sampler's; at another one the rest of the epoch is cut anew.

    Raises:
        InputError: Not a state, or one of another sampler.
    """
    if not isinstance(state, Mapping):
        raise InputError("must be what state_dict() gave", where=_WHERE, got=type(state).__name__)
    for name, value in mine.items():
        if state.get(name) != value:
            raise InputError(
                f"the saved sampler has another {name} than this one, which has {value!r}",
                where=_WHERE,
                got=state.get(name),
            )
    missing = {"epoch", "position", "finished", "values", "assessed_in", "steps", "memory"} - set(state)
    if missing:
        raise InputError(f"lacks {', '.join(sorted(missing))}", where=_WHERE, fix="Give the whole state.")
    position = whole(state["position"], f"{_WHERE}: position", least=0)
    same = state.get("batch_size", batch_size) == batch_size
    place = Place(
        position=position,
        items=whole(
            state.get("items", -(-position // (batch_size or 1))), f"{_WHERE}: items", least=0, most=position
        ),
        cut=whole(state.get("cut", 0), f"{_WHERE}: cut", least=0, most=position) if same else position,
        finished=flag(state["finished"], f"{_WHERE}: finished"),
    )
    _check_choosing(state)
    plan = state.get("plan")
    return Saved(
        epoch=whole(state["epoch"], f"{_WHERE}: epoch", least=0),
        place=place,
        plan=None if plan is None else whole(plan, f"{_WHERE}: plan"),
    )


def _check_choosing(state: Mapping[str, Any]) -> None:
    """`InputError` unless the state has what choosing within batches needs."""
    whole(state["steps"], f"{_WHERE}: steps", least=0)
    memory = instance(state["memory"], Mapping, f"{_WHERE}: memory", "tensors by name")
    for name, held in memory.items():
        numeric(held, f"{_WHERE}: memory[{name!r}]", "one number per remembered loss", kinds="f")


def check_within(place: Place, length: int) -> None:
    """`InputError` if a resumed epoch has fewer examples than the state says were trained on."""
    if place.position > length:
        raise InputError(
            f"the state was saved after {place.position} examples of an epoch of {length}",
            where=_WHERE,
            fix="Give the state that this sampler saved, unaltered.",
        )


def check_epoch_said(said: int, saved: Saved) -> None:
    """`InputError` unless a loop that set this epoch begins where the state was saved."""
    if said == saved.epoch or (saved.place.finished and said == saved.epoch + 1):
        return
    where = "after the end" if saved.place.finished else "in the middle"
    raise InputError(
        f"the state was saved {where} of epoch {saved.epoch}, and the loop begins at another",
        where="ExampleSampler.set_epoch",
        got=said,
        fix=f"Begin the loop at epoch {saved.epoch}: the sampler continues at its place in it.",
    )


def check_same_plan(before: int, now: int) -> None:
    """`InputError` if a resumed epoch is not planned as it was when it began."""
    if before != now:
        raise InputError(
            "the plan of the resumed epoch differs from its plan when it began, so its rest cannot be found",
            where=_WHERE,
            fix="Give the sampler what it had when it was saved (epochs=, labels=, the policy's settings, "
            "the number of workers), with the same version of NumPy; or begin the next: set_epoch(...).",
        )
