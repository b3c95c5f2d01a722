"""Registries: a dict of names, whose entries say where the thing of that name lives. Imports no torch.

Each place that can be extended has one such dict, in a module called `registry`: what is added costs its own
file and one line there. What must be known before anything is imported (to check a file, to list them)
stands in the entry itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a registry.

    Attributes:
        home: `module:function`, imported when it is needed.
    """

    home: str

    def find(self) -> Any:
        """What lives at `home`."""
        module, _, name = self.home.partition(":")
        return getattr(import_module(module), name)


class Found(Mapping[str, T], Generic[T]):
    """What the entries of a registry name; each is imported when it is looked up.

    Args:
        entries: Name -> entry.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> T:
        return self._entries[name].find()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
