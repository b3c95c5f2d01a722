"""A data set whose items carry their index, so that a loop knows which examples it was given."""

from __future__ import annotations

from typing import Any, Protocol

from torch.utils.data import Dataset

from headrace.errors import InputError


class Items(Protocol):
    """A map-style data set: anything with a length and items."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """One example."""
        ...


class Indexed(Dataset[tuple[int, Any]]):
    """The pairs (index, item) of a data set: `for index, (inputs, targets) in DataLoader(Indexed(data))`.

    Args:
        dataset: Any map-style data set; its items are not changed.
    """

    def __init__(self, dataset: Items) -> None:
        map_style = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        if not map_style or isinstance(dataset, str | bytes):
            raise InputError(
                "must be a map-style data set, with a length and items",
                where="dataset",
                got=type(dataset).__name__,
                fix="An iterable data set has no indices: read it into a list first.",
            )
        self.dataset = dataset

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        """The index, and the data set's item at it."""
        return int(index), self.dataset[index]
