"""Names of the subset search at their earlier place, so that code written then still works."""

from headrace.search.runner import search_subset
from headrace.specs.search import SubsetSearch
from headrace.subsets.file import Provenance, Subset
from headrace.subsets.restrict import Restricted, subset_of

__all__ = ["Provenance", "Restricted", "Subset", "SubsetSearch", "search_subset", "subset_of"]
