"""What a search chose: counted, and some of it to be looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from headrace import random
from headrace.files import write_whole
from headrace.sealed import write_record
from headrace.sealed_tables import plain_parquet
from headrace.store.chosen import CHOSEN, RECORD, Chosen, Taken, read_chosen
from headrace.store.portrait_records import ExamplesShown
from headrace.store.rankings import SHOWN, extremes
from headrace.trials.jobs import Label, ShowExamples, classes_of

if TYPE_CHECKING:
    from headrace.search.memo import Works
    from headrace.search.rounds import Chain
    from headrace.workloads.kinds import Targets


def count_taken(
    where: tuple[int, str, int],
    indices: Int64[np.ndarray, " chosen"],
    labels: np.ndarray | None,
    clean: np.ndarray | None,
    *,
    classes: int,
    kind: Targets,
) -> Taken:
    """What a subset of different examples holds.

    Args:
        where: Seed, group, size.
        indices: The examples.
        labels: Their labels [chosen], or yes and no of each class [chosen classes], or None.
        clean: Their right labels, or None.
        classes: How many classes there are.
        kind: Of the labels.
    """
    seed, group, size = where
    counts = None if labels is None else of_each_class(labels, classes, kind)
    wrong = None if labels is None or clean is None else wrong_among(labels, clean)
    return Taken(seed=seed, group=group, size=size, different=len(indices), classes=counts, wrong=wrong)


def of_each_class(labels: np.ndarray, classes: int, kind: Targets) -> tuple[int, ...]:
    """Examples of each class; of several at once where labels are yes or no for every class.

    Args:
        labels: Class numbers [examples], or 0 and 1 [examples classes].
        classes: How many classes there are.
        kind: Of the labels.
    """
    if kind == "labels":
        return tuple((labels > 0).sum(axis=0).tolist())
    return tuple(np.bincount(labels, minlength=classes).tolist())


def wrong_among(labels: np.ndarray, clean: np.ndarray) -> int:
    """How many examples have a label that is not the right one."""
    differs = labels != clean
    return int(differs.reshape(len(differs), -1).any(axis=1).sum())


def groups_of(
    table: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The groups of one method: those wanted most in the last round, some that are like most, those left out.

    Args:
        table: The columns of `chosen/METHOD.parquet`; `score` is missing if there is none.
        rng: Draws those that are like most.
    """
    times, rounds = table["times"], table["round"]
    last = (rounds == rounds.max()) & (times > 0)
    scores = table.get("score", np.full(len(times), np.nan))
    found: dict[str, np.ndarray] = {}
    if "score" in table:
        found["wanted"] = extremes(scores, SHOWN, end="highest", among=last)
    acquired = np.flatnonzero(last)
    found["typical"] = np.sort(rng.permutation(acquired)[:SHOWN])
    if "score" in table:
        found["left"] = extremes(scores, SHOWN, end="lowest", among=times == 0)
    if times.max() > 1:
        found["often"] = extremes(times.astype(np.float64), SHOWN, end="highest", among=times > 1)
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
    contents = {group: plain_parquet(table) for group, table in tables.items()}
    for group, content in contents.items():
        write_whole(folder / f"{group}.parquet", content)
    facts = works.facts
    made = Chosen(
        key=key,
        classes=facts.classes,
        whole=None if labels is None else of_each_class(labels, facts.num_classes, facts.targets),
        wrong=None if labels is None or clean is None else wrong_among(labels, clean),
        examples=facts.examples,
        taken=tuple(_taken(works, chains, others, labels, clean)),
        galleries=_examples_shown(works, tables),
        tables={group: hashlib.sha256(content).hexdigest() for group, content in contents.items()},
    )
    write_record(folder / RECORD, made)
    return made


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
    if works.spec.search.labels == "hidden":
        return None, None
    everything = np.arange(works.facts.examples)
    jobs = [Label(indices=everything), Label(indices=everything, right=True)]
    given, clean = works.workers.do(jobs)
    return given, clean


def _taken(
    works: Works,
    chains: Sequence[Chain],
    others: Mapping[tuple[int, str, int], np.ndarray],
    labels: np.ndarray | None,
    clean: np.ndarray | None,
) -> list[Taken]:
    classes, kind = works.facts.num_classes, works.facts.targets
    found = [
        count_taken(
            (chain.seed, chain.group, size),
            made.indices,
            made.labels if labels is None else labels[made.indices],
            None if clean is None else clean[made.indices],
            classes=classes,
            kind=kind,
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
            classes=classes,
            kind=kind,
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


def _examples_shown(works: Works, tables: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, ExamplesShown]:
    groups = {
        group: groups_of(table, random.generator(works.spec.seed, "subset search", "gallery", group))
        for group, table in tables.items()
    }
    labels: dict[int, tuple[int, ...]] = {}
    kind = works.facts.targets
    predicted: dict[str, dict[int, int]] = {}
    for group, some in groups.items():
        shown = sorted({int(example) for chosen, _ in some.values() for example in chosen})
        table = tables[group]
        if "predicted" in table:
            predicted[group] = {example: int(table["predicted"][example]) for example in shown}
        if "label" in table:
            labelled = {example: table["label"][example] for example in shown}
            labels |= {
                example: classes_of(label, kind) for example, label in labelled.items() if np.min(label) >= 0
            }
    job = ShowExamples(classes=works.facts.classes, groups=groups, labels=labels, predicted=predicted)
    return works.workers.do([job])[0]
