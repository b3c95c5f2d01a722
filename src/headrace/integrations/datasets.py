"""Hugging Face data sets as the examples of a workload: columns as the model's arguments, ids that stay.

    train = Columns(tokenized["train"], inputs=("input_ids", "attention_mask"), target="label", ids="id")
    Workload(train=train, call=train.call, ...)

Columns of one shape travel as one tensor [examples columns ...], which `call` takes apart: the model is
called with a keyword for each column, and may return an object with `.logits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn

from headrace import ids as example_ids
from headrace.errors import InputError
from headrace.integrations.losses import logits_of

_WHERE = "Columns"


class Columns:
    """Examples in a table that gives rows by their numbers, as a `datasets.Dataset` does; nothing is copied.

    Args:
        dataset: `dataset[[3, 1]]` gives a dict of columns with two rows, `dataset.column_names` their names.
        inputs: The columns that the model takes as keywords, all of one shape per row.
        target: The column that is predicted.
        ids: The column with what the examples are called, different for each; None: their rows. A column
            that was made before any shuffle or filter keeps its meaning.

    Raises:
        InputError: A column is missing, or the ids are not such. When examples are fetched: rows of
            different lengths.
    """

    def __init__(self, dataset: Any, *, inputs: Sequence[str], target: str, ids: str | None = None) -> None:
        self.inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        known = list(dataset.column_names)
        for name in (*self.inputs, target, *(() if ids is None else (ids,))):
            if name not in known:
                raise InputError(
                    "the data set has no column of this name",
                    where=_WHERE,
                    got=name,
                    fix=f"It has {', '.join(known)}.",
                )
        if len(dataset) == 0:
            raise InputError("a data set needs at least one example", where=_WHERE, got=0)
        self.dataset = dataset
        self.target = target
        self.device = torch.device("cpu")
        named = None if ids is None else list(dataset[ids])
        self.ids = None if named is None else example_ids.checked(named, len(dataset), where=_WHERE)

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.dataset)

    def fetch(
        self, indices: Int64[Tensor, " batch"]
    ) -> tuple[Shaped[Tensor, "batch columns ..."], Shaped[Tensor, "batch ..."]]:
        """These examples' columns as one tensor, and their targets."""
        rows = self.dataset[indices.tolist()]
        columns = [self._tensor(name, rows[name]) for name in self.inputs]
        shapes = {tuple(column.shape) for column in columns}
        if len(shapes) > 1:
            raise InputError(
                "the columns of inputs must have one shape",
                where=_WHERE,
                got=sorted(shapes),
                fix="Leave out columns that the model does not need.",
            )
        targets = self._tensor(self.target, rows[self.target])
        return torch.stack(columns, 1).to(self.device), targets.to(self.device)

    def _tensor(self, name: str, rows: Any) -> Tensor:
        try:
            return torch.stack([torch.as_tensor(row) for row in rows])
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"rows cannot be put into one tensor: {error}",
                where=f"{_WHERE}, column {name}",
                fix='Tokenize with padding="max_length" and truncation=True; text must be tokenized first.',
            ) from error

    def to(self, device: torch.device | str) -> Self:
        """The same examples, fetched to `device`."""
        moved = copy(self)
        moved.device = torch.device(device)
        return moved

    def call(self, model: nn.Module, batch: Shaped[Tensor, "batch columns ..."]) -> Tensor:
        """The logits of a model that takes the columns as keywords: `Workload(call=...)`."""
        return logits_of(model(**dict(zip(self.inputs, batch.unbind(1), strict=True))))
