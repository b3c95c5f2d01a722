"""The file of a subset search, as frozen data from one TOML file. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import InputError
from headrace.specs.search_checks import cross_checks
from headrace.specs.search_tables import SearchTables


class SubsetSearch(SearchTables):
    """One subset search.

    Raises:
        InputErrors: The tables do not go together (from any constructor).
    """

    def cross_checks(self) -> Sequence[InputError]:
        """What is wrong with tables that are each right by themselves."""
        return cross_checks(self)

    def transferred(self, number: int) -> SubsetSearch:
        """The search as if on the workload and with the training of `transfer[number]`."""
        table, training = self.transfer[number], self.training
        assert training is not None
        changes = {"workload": table.workload, "training": table.training(training), "transfer": ()}
        return self.model_copy(update=changes)

    @property
    def repeats(self) -> range:
        """The searches that are made, one per seed of the comparison."""
        return range(self.comparison.seeds if self.comparison else 1)
