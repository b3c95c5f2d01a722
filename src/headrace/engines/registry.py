"""The engines that a user can name; that of torchrun is used if torchrun started the process."""

from __future__ import annotations

from headrace.engines._base import Engine
from headrace.engines.processes import cores
from headrace.errors import InputError, did_you_mean
from headrace.homes import Entry

_ROOM = "headrace.engines."

ENGINES: dict[str, Entry] = {
    "local": Entry(home=_ROOM + "local:LocalEngine"),
    "inline": Entry(home=_ROOM + "inline:InlineEngine"),
    "ray": Entry(home=_ROOM + "ray:RayEngine"),
}
"""Name -> its class, which is called with the number of workers.

One that has a `capacity` says by it how many workers there is room for; others use the cores of this machine.
One that `rations` the devices needs no limit of workers for each.
"""


def make_engine(name: str, workers: int | None) -> Engine:
    """An engine that is not open yet.

    Args:
        name: One of `ENGINES`.
        workers: How many workers, None for as many as there is room for; `inline` has one.

    Raises:
        InputError: Unknown name.
    """
    if name not in ENGINES:
        raise InputError("unknown engine", where="engine", got=name, fix=did_you_mean(name, ENGINES))
    found = ENGINES[name].find()
    return found(workers or getattr(found, "capacity", cores)())
