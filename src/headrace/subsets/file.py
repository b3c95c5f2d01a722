"""The subset file: which examples, with what weight, chosen when and why, and of which data set.

One Parquet file with the columns `index`, `weight`, `round`, `score` (null for examples drawn at random),
`label` if people labelled, and `id` if examples have ids. The provenance is JSON in the metadata of the
file, with a checksum of the columns and one of everything.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int32, Int64
from pydantic import Field

from headrace.errors import DamagedError, InputError
from headrace.files import write_whole
from headrace.ids import Ids
from headrace.records import Record
from headrace.sealed_tables import digest, parquet, parquet_content

if TYPE_CHECKING:
    import torch

_KEY = "headrace"
_SEAL = "seal"
_KEYS = {"sha256", "provenance", _SEAL}
_COLUMNS = ("index", "weight", "round", "score")


class Provenance(Record):
    """Where a subset comes from.

    Attributes:
        workload: The workload's name in the search's file.
        settings: Its settings.
        examples: The size of the whole training set.
        checksum: Of the training set, see `headrace.subsets.view.checksum`.
        labels: "known" or "hidden".
        seed: The search's seed.
        repeat: Which of the comparison's searches.
        acquisition: The acquisition function, or None if the strategy takes none.
        select: The strategy and its settings.
        choose_from: "remainder" or "pool".
        members: For each round, the names of the members that scored.
        version: Of Headrace.
    """

    workload: str
    settings: dict[str, Any] = Field(default_factory=dict)
    examples: int = Field(ge=1)
    checksum: str
    labels: str = "known"
    seed: int = 0
    repeat: int = 0
    acquisition: str | None = None
    select: dict[str, Any] = Field(default_factory=dict)
    choose_from: str = "remainder"
    members: tuple[tuple[str, ...], ...] = ()
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Some examples of a training set.

    Args:
        indices: Which, rising, each once [chosen].
        weights: How often each was chosen, so 1 or more [chosen].
        rounds: The round in which each was first chosen; 0 is the random start [chosen].
        scores: The score by which it was chosen then; NaN for the random start [chosen].
        labels: The labels that people gave, or None [chosen].
        ids: What the examples are called, see `headrace.ids`; None: their indices [chosen].
        provenance: Where it comes from.
        sha256: Of the file as it was read; None if it was not read from a file.
    """

    indices: Int64[np.ndarray, " chosen"]
    weights: Float64[np.ndarray, " chosen"]
    rounds: Int32[np.ndarray, " chosen"]
    scores: Float64[np.ndarray, " chosen"]
    labels: Int64[np.ndarray, " chosen"] | None = None
    ids: Ids | None = None
    provenance: Provenance
    sha256: str | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    def save(self, path: str | Path) -> None:
        """Write the file, whole and renamed into place.

        Raises:
            StorageError: It cannot be written.
        """
        import polars as pl

        columns = self._columns()
        metadata = {"sha256": digest(columns), "provenance": self.provenance.model_dump(mode="json")}
        metadata[_SEAL] = _seal(metadata)
        table = pl.DataFrame(columns).with_columns(pl.col("score").fill_nan(None))
        content = parquet_content(table, {_KEY: json.dumps(metadata, sort_keys=True)})
        write_whole(Path(path), content)

    @classmethod
    def load(cls, path: str | Path) -> Subset:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing, or not a subset file.
            DamagedError: It is truncated or was altered.
        """
        metadata, table, sha256 = _read(Path(path))
        labels = table["label"].to_numpy() if "label" in table.columns else None
        subset = cls(
            indices=table["index"].to_numpy(),
            weights=table["weight"].to_numpy(),
            rounds=table["round"].to_numpy(),
            scores=table["score"].fill_null(float("nan")).to_numpy(),
            labels=labels,
            ids=table["id"].to_numpy() if "id" in table.columns else None,
            provenance=Provenance.model_validate(metadata["provenance"]),
            sha256=sha256,
        )
        # The first subset files had no seal over the provenance.
        seal = _seal(metadata)
        if digest(subset._columns()) != metadata["sha256"] or metadata.get(_SEAL, seal) != seal:
            raise DamagedError("the subset file was altered", where=str(path), fix="Make it again.")
        return subset

    def check(self, dataset: Any, ids: Ids | None = None) -> None:
        """Refuse a data set that is not the one the subset was chosen from.

        Args:
            dataset: `ExampleData`, or a map-style torch data set of pairs (input, target).
            ids: What its examples are called; None: those that it has, if any.

        Raises:
            InputError: It has another length, other content, or other ids.
        """
        from headrace.subsets.view import checksum

        made = self.provenance
        where = "the subset's data set"
        if len(dataset) != made.examples:
            raise InputError(
                f"this subset was chosen from {made.examples} examples of {made.workload}",
                where=where,
                got=f"{len(dataset)} examples",
                fix="Give the training set that was searched.",
            )
        found = checksum(_example_data(dataset), targets=made.labels == "known")
        if found != made.checksum:
            raise InputError(
                f"this subset was chosen from another data set: {made.workload} with checksum "
                f"{_short(made.checksum)}",
                where=where,
                got=_short(found),
                fix="Give the training set that was searched, with the same order and the same transforms, "
                "or pass check=False if you know better.",
            )
        called: Any = getattr(dataset, "ids", None) if ids is None else ids
        if self.ids is not None and called is not None:
            self._check_ids(called, where)

    def _check_ids(self, called: Ids, where: str) -> None:
        """Refuse a data set in which the chosen examples have other ids."""
        there = called[self.indices].tolist()
        own = [] if self.ids is None else self.ids.tolist()
        for index, mine, given in zip(self.indices.tolist(), own, there, strict=True):
            if mine != given:
                raise InputError(
                    f"the example {index} has the id {mine!r} in this subset and another in the data set",
                    where=where,
                    got=given,
                    fix="Give the training set with the ids that it had when it was searched.",
                )

    def apply(self, dataset: Any, *, check: bool = True) -> tuple[torch.utils.data.Subset[Any], torch.Tensor]:
        """The chosen examples as a torch data set, and their weights.

        Args:
            dataset: The training set that was searched, map-style.
            check: Whether to compare it with the checksum; reads the data set once (at most 65,536 of it).

        Returns:
            `torch.utils.data.Subset(dataset, indices)`, and float32 weights with mean 1 [chosen], to multiply
            the examples' losses by; all 1 unless examples were chosen again. If people labelled, each
            target is their label as a class number, not the data set's.

        Raises:
            InputError: It is another data set.
        """
        import torch

        from headrace.subsets.view import Labelled, mean_one

        if check:
            self.check(dataset)
        if self.labels is not None:
            given = zip(self.indices.tolist(), self.labels.tolist(), strict=True)
            dataset = Labelled(dataset, dict(given))
        weights = torch.from_numpy(mean_one(self.weights)).to(torch.float32)
        return torch.utils.data.Subset(dataset, self.indices.tolist()), weights

    def _columns(self) -> dict[str, np.ndarray]:
        columns = {
            "index": self.indices,
            "weight": self.weights,
            "round": self.rounds,
            "score": self.scores,
        }
        more = {"label": self.labels, "id": self.ids}
        return columns | {name: values for name, values in more.items() if values is not None}


def _read(path: Path) -> tuple[dict[str, Any], Any, str]:
    """Metadata, table, and the checksum of the very bytes that were parsed."""
    if not path.is_file():
        raise InputError("the subset file does not exist", where=str(path))
    content = path.read_bytes()
    table, found = parquet(path, "the subset file", "Make it again: headrace subset.", content=content)
    try:
        metadata = json.loads(found.get(_KEY) or "")
        Provenance.model_validate(metadata["provenance"])
        if not {"sha256", *_COLUMNS} <= {*metadata, *table.columns} or not metadata.keys() <= _KEYS:
            raise KeyError("columns")
    except (ValueError, KeyError, TypeError):
        fix = "Give one that headrace subset or Subset.save wrote."
        raise InputError("this is not a subset file of Headrace", where=str(path), fix=fix) from None
    return metadata, table, hashlib.sha256(content).hexdigest()


def _seal(metadata: dict[str, Any]) -> str:
    """A checksum of all that the metadata holds."""
    told = {key: value for key, value in metadata.items() if key != _SEAL}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _example_data(dataset: Any) -> Any:
    from headrace.training.data import MapData

    return dataset if callable(getattr(dataset, "fetch", None)) else MapData(dataset)


def _short(checksum: str) -> str:
    kind, _, digest = checksum.partition(":")
    return f"{kind}:{digest[:12]}"
