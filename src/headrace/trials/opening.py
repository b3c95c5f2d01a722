"""How a worker comes to its bench: what is sent to it. Importing this imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.engines._base import Place
from headrace.specs.search import SubsetSearch

if TYPE_CHECKING:
    from headrace.trials.search_bench import SearchBench


@dataclass(frozen=True)
class MakeSearchBench:
    """Makes the bench of a search.

    Attributes:
        spec: The search.
    """

    spec: SubsetSearch

    def __call__(self, place: Place) -> SearchBench:
        """The bench of the worker at `place`."""
        from headrace.trials.search_bench import SearchBench

        return SearchBench(self.spec, place)
