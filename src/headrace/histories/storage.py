"""Histories as files: safetensors to resume, Parquet to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from jaxtyping import Shaped
from pydantic import ConfigDict, Field, ValidationError
from torch import Tensor

from headrace import tensors
from headrace.checks import whole
from headrace.errors import DamagedError, InputError
from headrace.files import writing
from headrace.records import Record, first_finding

if TYPE_CHECKING:
    from headrace.histories.observations import Quantity

VERSION = 1
_KIND = "headrace.history"
_SETTINGS = ("version", "kind", "num_examples", "window", "decay")


class _Header(Record):
    """What a file must say of its table."""

    model_config = ConfigDict(strict=True)

    version: int
    kind: str
    num_examples: int = Field(ge=1)
    window: int | None = Field(ge=2)
    decay: float | None = Field(gt=0, lt=1)
    num_classes: int | None = Field(ge=2)
    fingerprint: str | None


class Described(Protocol):
    """What identifies a history."""

    kind: str
    num_examples: int
    window: int | None
    decay: float | None
    fingerprint: str | None

    @property
    def num_classes(self) -> int | None:
        """How many classes the logits had, once it is known."""
        ...


class Readable(Described, Protocol):
    """A history that can be read."""

    quantities: tuple[Quantity, ...]

    @property
    def count(self) -> Tensor:
        """Observations per example."""
        ...

    @property
    def size(self) -> Tensor:
        """Observations that the means rest on."""
        ...

    def mean(self, quantity: Quantity) -> Tensor:
        """Mean per example."""
        ...

    def variance(self, quantity: Quantity) -> Tensor:
        """Variance per example."""
        ...

    def last_loss(self) -> Tensor:
        """Last loss per example."""
        ...

    def transitions(self) -> Tensor:
        """Forgetting transitions per example."""
        ...


def fingerprint(*arrays: Shaped[Tensor, " ..."] | Shaped[np.ndarray, " ..."]) -> str:
    """A data set's identity: the SHA-256 of its arrays' types, shapes and contents, as 64 hex digits.

    Give what distinguishes data sets and is available: often the targets are enough.

    Args:
        arrays: NumPy arrays or tensors, in a fixed order.
    """
    digest = hashlib.sha256()
    for array in arrays:
        host = np.ascontiguousarray(array.detach().cpu().numpy() if isinstance(array, Tensor) else array)
        digest.update(f"{host.dtype.str}{host.shape}".encode())
        digest.update(host.data)
    return digest.hexdigest()


def description(history: Described) -> dict[str, Any]:
    """The plain values that must agree before two histories are put together."""
    return {
        "version": VERSION,
        "kind": history.kind,
        "num_examples": history.num_examples,
        "window": history.window,
        "decay": history.decay,
        "num_classes": history.num_classes,
        "fingerprint": history.fingerprint,
    }


def check_state(
    state: Any, mine: Mapping[str, Any], table: Shaped[Tensor, "rows columns"], *, where: str
) -> None:
    """Raise unless `state` is of the same examples and form, with a table of the same shape.

    Raises:
        InputError: Something is missing or differs.
    """
    if not isinstance(state, Mapping) or not {"table", "num_classes", "fingerprint"} <= set(state):
        raise InputError("must be what state_dict() gave", where=where, got=type(state).__name__)
    agree(mine, state, where=where)
    if state["num_classes"] is not None:
        whole(state["num_classes"], f"{where}: num_classes", least=2)
    given = state["table"]
    if not isinstance(given, Tensor) or (given.shape, given.dtype) != (table.shape, table.dtype):
        got = (tuple(given.shape), str(given.dtype)) if isinstance(given, Tensor) else type(given).__name__
        raise InputError("the table is of another shape or type", where=where, got=got)


def agree(mine: Mapping[str, Any], theirs: Mapping[str, Any], *, where: str) -> None:
    """Raise unless two descriptions are of the same examples and form.

    The number of classes and the fingerprint are compared where both are known.

    Raises:
        InputError: One entry differs; the message names it and both values.
    """
    optional = [key for key in ("num_classes", "fingerprint") if None not in (mine[key], theirs.get(key))]
    for key in (*_SETTINGS, *optional):
        if theirs.get(key) != mine[key]:
            other_data = key in ("num_examples", "fingerprint", "num_classes")
            raise InputError(
                ("a history of another data set: " if other_data else "a history of another form: ")
                + f"its {key} is {theirs.get(key)!r}, here it is {mine[key]!r}",
                where=where,
                fix="Use the history that was recorded on this data set." if other_data else None,
            )


def write(path: Path, about: Mapping[str, Any], table: Shaped[Tensor, "rows columns"]) -> None:
    """Write a table and its description to `path`, whole or not at all.

    Raises:
        StorageError: The file cannot be written.
    """
    tensors.write(path, _KIND, {"table": table}, about)


def read(path: Path) -> dict[str, Any]:
    """The state that `write` wrote.

    Raises:
        InputError: No such file, or no history.
        DamagedError: Truncated or altered.
    """
    found, about, sealed = tensors.read(path, _KIND, "a history")
    try:
        # Before there were seals, a history held the checksum of its table alone.
        checksum = None if sealed else about.pop("checksum")
        header = _Header(**about)
        table = found["table"]
    except (KeyError, ValidationError) as error:
        why = first_finding(error) if isinstance(error, ValidationError) else f"{error} is missing"
        raise DamagedError(f"the header of the history was altered ({why})", where=str(path)) from None
    if not sealed and checksum != hashlib.sha256(table.numpy().data).hexdigest():
        raise DamagedError("the contents do not match their checksum", where=str(path))
    if not _holds(table, header):
        raise DamagedError(
            f"the table does not fit {header.num_examples} examples", where=str(path), got=tuple(table.shape)
        )
    return {**about, "table": table}


def _holds(table: Tensor, header: _Header) -> bool:
    """Whether a table can be that of the header: checked before memory is taken for it."""
    return (
        table.dtype == torch.float32
        and table.ndim == 2
        and len(table) == header.num_examples
        and (header.window is None or header.window < table.shape[1])
    )


def write_parquet(path: Path, history: Readable) -> None:
    """Write one row per example: `example`, counts, means, variances; Float32 except the index."""
    import polars as pl

    columns: dict[str, Tensor] = {"count": history.count, "size": history.size}
    columns |= {f"{quantity}_mean": history.mean(quantity) for quantity in history.quantities}
    columns["loss_variance"] = history.variance("loss")
    columns["last_loss"] = history.last_loss()
    if "probability" in history.quantities:
        columns["probability_variance"] = history.variance("probability")
        columns["transitions"] = history.transitions()
    frame = pl.DataFrame({"example": np.arange(history.num_examples, dtype=np.int64)})
    frame = frame.with_columns(pl.Series(name, column.cpu().numpy()) for name, column in columns.items())
    with writing(path) as file:
        frame.write_parquet(file)
