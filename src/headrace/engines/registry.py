"""The engines that a user can name; that of torchrun is used if torchrun started the process."""

from __future__ import annotations

from headrace.engines._base import Engine
from headrace.errors import InputError, did_you_mean
from headrace.homes import Entry

_ROOM = "headrace.engines."

ENGINES: dict[str, Entry] = {
    "local": Entry(home=_ROOM + "local:LocalEngine"),
    "inline": Entry(home=_ROOM + "inline:InlineEngine"),
}
"""Name -> its class, which is called with the number of workers."""


def make_engine(name: str, workers: int) -> Engine:
    """An engine that is not open yet.

    Args:
        name: One of `ENGINES`.
        workers: How many workers; `inline` has one.

    Raises:
        InputError: Unknown name.
    """
    if name not in ENGINES:
        raise InputError("unknown engine", where="engine", got=name, fix=did_you_mean(name, ENGINES))
    return ENGINES[name].find()(workers)
