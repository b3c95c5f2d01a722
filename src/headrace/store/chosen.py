"""What a search chose, kept for its report: who was taken in, and some of them to be looked at.

`chosen/chosen.json` holds the record, `chosen/METHOD.parquet` every example as the first seed's last round
saw it: `example`, its `id` where it has one, `times` chosen, `round` (-1: not chosen), `score`, `predicted`,
and `label` where known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Int64
from pydantic import Field, ValidationError

from headrace import random
from headrace.errors import DamagedError
from headrace.files import write_whole
from headrace.sealed import parquet, sealed, sha256, unsealed
from headrace.store.portrait_records import Gallery
from headrace.store.records import Record
from headrace.trials.gallery import EXHIBITS, extremes

if TYPE_CHECKING:
    import polars as pl

    from headrace.search.memo import Works
    from headrace.search.rounds import Chain

CHOSEN = "chosen"
RECORD = "chosen.json"


class Taken(Record):
    """What one subset holds.

    Attributes:
        seed: Which of the comparison's searches.
        group: The method, or "random".
        size: Examples in it, duplicates counted.
        different: Different examples.
        classes: Different examples of each class; None where labels are not known.
        wrong: Different examples with a wrong label; None where the right ones are not known.
    """

    seed: int
    group: str
    size: int
    different: int
    classes: tuple[int, ...] | None = None
    wrong: int | None = None


class Chosen(Record):
    """What a search chose.

    Attributes:
        key: Of everything that it follows from.
        classes: The classes' names.
        whole: Examples of each class in the training set; None where labels are hidden.
        wrong: Wrong labels in the training set; None where the right ones are not known.
        examples: The size of the training set.
        taken: Every subset of every seed.
        galleries: Method -> examples that it chose, and did not, with the first seed.
        tables: Method -> SHA-256 of `METHOD.parquet`; empty in older files.
    """

    format: Literal[1] = 1
    key: str
    classes: tuple[str, ...]
    whole: tuple[int, ...] | None = None
    wrong: int | None = None
    examples: int = Field(ge=1)
    taken: tuple[Taken, ...] = ()
    galleries: dict[str, Gallery] = Field(default_factory=dict)
    tables: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HangJob:
    """Hang examples for the report: method -> wall -> the examples and the scores for which they hang.

    Attributes:
        classes: The classes' names.
        walls: The examples.
        labels: Example -> its classes, of the examples whose labels may be told.
        predicted: Method -> example -> the class that its last ensemble predicted.
    """

    classes: tuple[str, ...]
    walls: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]
    labels: Mapping[int, tuple[int, ...]]
    predicted: Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, kw_only=True)
class NamesJob:
    """Tell what the training examples are called: their ids, or None where their indices are their names."""


def count_taken(
    where: tuple[int, str, int],
    indices: Int64[np.ndarray, " chosen"],
    labels: np.ndarray | None,
    clean: np.ndarray | None,
    classes: int,
) -> Taken:
    """What a subset of different examples holds.

    Args:
        where: Seed, group, size.
        indices: The examples.
        labels: Their labels [chosen], or yes and no of each class [chosen classes], or None.
        clean: Their right labels, or None.
        classes: How many classes there are.
    """
    seed, group, size = where
    counts = None if labels is None else of_each_class(labels, classes)
    wrong = None if labels is None or clean is None else wrong_among(labels, clean)
    return Taken(seed=seed, group=group, size=size, different=len(indices), classes=counts, wrong=wrong)


def of_each_class(labels: np.ndarray, classes: int) -> tuple[int, ...]:
    """Examples of each class; of several at once where labels are yes or no for every class.

    Args:
        labels: Class numbers [examples], or 0 and 1 [examples classes].
        classes: How many classes there are.
    """
    if labels.ndim == 2:
        return tuple((labels > 0).sum(axis=0).tolist())
    return tuple(np.bincount(labels, minlength=classes).tolist())


def wrong_among(labels: np.ndarray, clean: np.ndarray) -> int:
    """How many examples have a label that is not the right one."""
    differs = labels != clean
    return int((differs.any(axis=1) if differs.ndim == 2 else differs).sum())


def walls_of(
    table: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The walls of one method: those wanted most in the last round, some that are like most, those left out.

    Args:
        table: The columns of `chosen/METHOD.parquet`; `score` is missing where there is none.
        rng: Draws those that are like most.
    """
    times, rounds = table["times"], table["round"]
    last = (rounds == rounds.max()) & (times > 0)
    scores = table.get("score", np.full(len(times), np.nan))
    found: dict[str, np.ndarray] = {}
    if "score" in table:
        found["wanted"] = extremes(scores, EXHIBITS, end="highest", among=last)
    acquired = np.flatnonzero(last)
    found["typical"] = np.sort(rng.permutation(acquired)[:EXHIBITS])
    if "score" in table:
        found["left"] = extremes(scores, EXHIBITS, end="lowest", among=times == 0)
    if times.max() > 1:
        found["often"] = extremes(times.astype(np.float64), EXHIBITS, end="highest", among=times > 1)
    return {
        name: (chosen, (times if name == "often" else scores)[chosen].astype(np.float64))
        for name, chosen in found.items()
    }


def look(works: Works, chains: Sequence[Chain], others: Mapping[tuple[int, str, int], np.ndarray]) -> Chosen:
    """What the search chose; made again only where something that it follows from has changed.

    Args:
        works: Who looks.
        chains: The finished searches.
        others: Baselines: (seed, group, size) -> the examples.
    """
    folder, key = works.directory / CHOSEN, _key(works, chains)
    there = read_chosen(works.directory)
    if there is not None and there.key == key:
        return there
    labels, clean = _labels(works)
    tables = {chain.group: _table(works, chain, labels) for chain in chains if chain.seed == 0}
    contents = {group: _parquet(table) for group, table in tables.items()}
    for group, content in contents.items():
        write_whole(folder / f"{group}.parquet", content)
    facts = works.facts
    made = Chosen(
        key=key,
        classes=facts.classes,
        whole=None if labels is None else of_each_class(labels, facts.num_classes),
        wrong=None if labels is None or clean is None else wrong_among(labels, clean),
        examples=facts.examples,
        taken=tuple(_taken(works, chains, others, labels, clean)),
        galleries=_galleries(works, tables),
        tables={group: hashlib.sha256(content).hexdigest() for group, content in contents.items()},
    )
    write_whole(folder / RECORD, sealed(made.model_dump_json().encode()))
    return made


def read_chosen(directory: Path) -> Chosen | None:
    """What the search in a folder chose, or None where it has not come so far.

    Raises:
        DamagedError: The file is truncated or was altered.
    """
    path = directory / CHOSEN / RECORD
    if not path.is_file():
        return None
    try:
        return Chosen.model_validate_json(unsealed(path))
    except (ValueError, ValidationError):
        fix = "Delete it and give the same command again: only this file is made anew."
        raise DamagedError("is truncated or was altered", where=str(path), fix=fix) from None


def read_table(directory: Path, group: str) -> pl.DataFrame | None:
    """Every example as the first seed's last round of a method saw it, or None.

    Raises:
        DamagedError: The file is truncated or was altered.
    """
    path = directory / CHOSEN / f"{group}.parquet"
    if not path.is_file():
        return None
    fix = "Delete the folder chosen and give headrace subset again."
    kept = None if (chosen := read_chosen(directory)) is None else chosen.tables.get(group)
    if kept not in (None, sha256(path)):
        raise DamagedError("what was chosen was altered", where=str(path), fix=fix)
    return parquet(path, "what was chosen", fix)[0]


def _key(works: Works, chains: Sequence[Chain]) -> str:
    digest = hashlib.sha256(json.dumps([works.facts.checksum, works.facts.classes]).encode())
    digest.update(b"" if works.ids is None else json.dumps(works.ids.tolist()).encode())
    for chain in chains:
        digest.update(f"{chain.seed},{chain.group},{chain.members}".encode())
        for size, material in chain.snapshots.items():
            digest.update(f"{size}:{material.digest()}".encode())
    return digest.hexdigest()


def _labels(works: Works) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The labels of all examples and the right ones, where the search may know them."""
    from headrace.trials.search_jobs import LabelJob

    if works.spec.search.labels == "hidden":
        return None, None
    everything = np.arange(works.facts.examples)
    jobs = [LabelJob(indices=everything), LabelJob(indices=everything, right=True)]
    given, clean = works.pool.do(jobs)
    return given, clean


def _taken(
    works: Works,
    chains: Sequence[Chain],
    others: Mapping[tuple[int, str, int], np.ndarray],
    labels: np.ndarray | None,
    clean: np.ndarray | None,
) -> list[Taken]:
    classes = works.facts.num_classes
    found = [
        count_taken(
            (chain.seed, chain.group, size),
            made.indices,
            made.labels if labels is None else labels[made.indices],
            None if clean is None else clean[made.indices],
            classes,
        )
        for chain in chains
        for size, made in chain.snapshots.items()
    ]
    return found + [
        count_taken(
            where,
            indices,
            None if labels is None else labels[indices],
            None if clean is None else clean[indices],
            classes,
        )
        for where, indices in others.items()
    ]


def _table(works: Works, chain: Chain, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """The columns of `chosen/METHOD.parquet`."""
    growing = chain.growing
    columns: dict[str, np.ndarray] = {
        "example": np.arange(len(growing.times)),
        **({} if works.ids is None else {"id": works.ids}),
        "times": growing.times,
        "round": growing.rounds,
    }
    name = chain.method.score
    asked = chain.keys or works.spec.members
    if name is not None and asked:
        members = works.own_members if works.spec.members else works.members(chain.keys)
        scored = works.score([members])[0]
        # With several labels at once there is no one class that is predicted.
        there = [("score", name), ("predicted", "predicted")]
        columns |= {own: scored[theirs].to_numpy() for own, theirs in there if theirs in scored.columns}
    if labels is not None:
        return columns | {"label": labels}
    if chain.labels is None:
        return columns
    known = np.full((len(growing.times), *chain.labels.shape[1:]), -1, dtype=np.int64)
    known[growing.indices] = chain.labels
    return columns | {"label": known}


def _galleries(works: Works, tables: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Gallery]:
    walls = {
        group: walls_of(table, random.generator(works.spec.seed, "subset search", "gallery", group))
        for group, table in tables.items()
    }
    labels: dict[int, tuple[int, ...]] = {}
    predicted: dict[str, dict[int, int]] = {}
    for group, some in walls.items():
        shown = sorted({int(example) for chosen, _ in some.values() for example in chosen})
        table = tables[group]
        if "predicted" in table:
            predicted[group] = {example: int(table["predicted"][example]) for example in shown}
        if "label" in table:
            told = {example: table["label"][example] for example in shown}
            labels |= {example: classes_of(label) for example, label in told.items() if np.min(label) >= 0}
    job = HangJob(classes=works.facts.classes, walls=walls, labels=labels, predicted=predicted)
    return works.pool.do([job])[0]


def classes_of(label: np.ndarray) -> tuple[int, ...]:
    """The classes of one example: the one of a class number, or all of a row of yes and no."""
    return tuple(np.flatnonzero(label).tolist()) if np.ndim(label) else (int(label),)


def _parquet(columns: Mapping[str, np.ndarray]) -> bytes:
    import polars as pl

    buffer = BytesIO()
    pl.DataFrame(dict(columns)).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
