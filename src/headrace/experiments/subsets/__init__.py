"""Subset search: which part of a training set is worth training on, or of a pool worth labelling.

`search` is the file, `rounds` what will happen and what it will cost, `jobs` what worker processes do,
`runner` the search itself, `oracle` the labels that people give, `subset` what comes out. Names are
imported on first use; only `jobs` and `data` need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.experiments.subsets.restriction import Restricted as Restricted
    from headrace.experiments.subsets.restriction import subset_of as subset_of
    from headrace.experiments.subsets.runner import search_subset as search_subset
    from headrace.experiments.subsets.search import SubsetSearch as SubsetSearch
    from headrace.experiments.subsets.subset import Provenance as Provenance
    from headrace.experiments.subsets.subset import Subset as Subset

_HOMES: dict[str, str] = {
    "Provenance": "subset",
    "Restricted": "restriction",
    "Subset": "subset",
    "SubsetSearch": "search",
    "search_subset": "runner",
    "subset_of": "restriction",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
