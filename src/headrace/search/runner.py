"""The search: start at random, train, score the pool, acquire, and again, until the subset is large enough.

Chitta et al. (2019, arXiv 1905.12737), with choosing from the whole pool after Haussmann et al. (2020).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace import __version__, random
from headrace.engines.processes import physical_bytes
from headrace.errors import InputError
from headrace.files import write_whole
from headrace.search.chosen import look
from headrace.search.growing import add, empty
from headrace.search.memo import Material, Progress, Works
from headrace.search.opening import Opened, join
from headrace.search.people import People
from headrace.search.plan import COMPARISON, compared, counts, plan, process_bytes, transfer_to
from headrace.search.readiness import check_folder, check_memory, check_ready, check_transfer
from headrace.search.rounds import Acquired, Chain, Round
from headrace.specs.search import SubsetSearch
from headrace.store import lock
from headrace.store.changes import check_reason
from headrace.store.chosen import Chosen
from headrace.store.labels import ACCEPT
from headrace.store.members import Voters
from headrace.store.origins import OWN, Origin, settle_origins
from headrace.store.outcome import Cost, Measured, Outcome, Transferred, Waiting
from headrace.store.search_facts import Facts
from headrace.subsets.file import Provenance, Subset
from headrace.trials.jobs import NamesJob

if TYPE_CHECKING:
    from headrace.trials.jobs import RunJob

_Stage = tuple[int, str, str, int]
"""Seed, group, stage, size."""


def search_subset(
    spec: SubsetSearch,
    directory: str | Path,
    *,
    processes: int | None = None,
    answers: str | Path | None = None,
    accept_labels: bool = False,
    accept_change: str | None = None,
    announce: Callable[[tuple[Cost, ...], int], None] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Search for a subset, or go on with it.

    What comes out depends on no interruption and on no number of processes. The folder may hold the work of
    another search: what is the same is not done again.

    Args:
        spec: What to search for.
        directory: The folder; made where it is not there.
        processes: How many runs are trained side by side; None for one a core, or on GPUs a few each.
        answers: A file with labels that people gave, taken before anything else is done.
        accept_labels: Whether labels that were changed by hand in `labels.json` are meant.
        accept_change: Why runs on a workload that has changed since may be used next to new ones; recorded,
            and shown in the report. None refuses a changed workload.
        announce: Called with what every stage will cost, before anything is trained, and with the bytes that
            scoring and choosing take at most in each process.
        progress: Called from this thread after every job.

    Under torchrun every process calls this, with the same arguments and the same folder: the first one
    searches, all of them train, score and choose, and all return the same.

    Returns:
        The finished search, or one that waits for labels.

    Raises:
        InputError: The file, the workload, the members or the answers do not fit.
        BusyError: The folder is in use by another process.
        DamagedError: A stored file is truncated or was altered.
        WorkerDied: A worker process died.
        StorageError: The folder cannot be written.
    """
    directory = Path(directory)
    check_reason(accept_change)
    joined = join(spec, processes) if "RANK" in os.environ else None
    if joined is not None and joined.rank > 0:
        return joined.serve()
    with Opened(spec, processes, joined) as opened, lock.exclusive(directory):
        check_ready(spec, opened.facts)
        for number, other in enumerate(opened.others):
            check_transfer(spec, number, opened.facts, other)
        check_memory(spec, opened.facts, opened.pool.processes, physical_bytes())
        costs = plan(spec, opened.facts)
        check_folder(spec, directory)
        origins = settle_origins(directory, opened.fingerprints, why=accept_change)
        (ids,) = opened.pool.do([NamesJob()])
        works = Works(
            directory=directory,
            spec=spec,
            facts=opened.facts,
            pool=opened.pool,
            tell=progress,
            ids=ids,
            digests=origins[OWN].digests,
        )
        write_whole(directory / "search.toml", spec.to_toml().encode())
        people = _people(works, answers, accept=accept_labels)
        running = _Search(works=works, plan=costs, others=opened.others, people=people, origins=origins)
        if announce is not None:
            announce(costs, process_bytes(spec, opened.facts))
        opened.pool.outcome = running.to_the_end()
        return opened.pool.outcome


def _people(works: Works, answers: str | Path | None, *, accept: bool) -> People | None:
    """The people who label, with their answers taken; None where nobody does."""
    if works.spec.search.oracle == "people":
        people = People(works, accept=accept)
        if answers is not None:
            people.take(answers)
        return people
    if answers is not None:
        raise InputError("answers are taken with search.oracle = 'people' only", where=str(answers))
    if accept:
        raise InputError("has an effect with search.oracle = 'people' only", where=ACCEPT)
    return None


@dataclass(kw_only=True)
class _Search:
    works: Works
    plan: tuple[Cost, ...]
    others: Sequence[Facts]
    people: People | None
    origins: Mapping[str, Origin]
    spent: dict[_Stage, Cost] = field(default_factory=dict)

    @property
    def spec(self) -> SubsetSearch:
        return self.works.spec

    @property
    def facts(self) -> Facts:
        return self.works.facts

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return counts(self.spec, self.facts.examples)

    def to_the_end(self) -> Outcome:
        chains = [
            Chain(seed=seed, method=method, growing=empty(self.facts.examples))
            for seed in self.spec.repeats
            for method in self.spec.methods
        ]
        for place, size in enumerate(self.sizes):
            chains = self._grow(chains, place)
            labelled = self._buy(chains, place)
            if isinstance(labelled, Waiting):
                return self._outcome(waiting=labelled)
            chains = [replace(c, snapshots=c.snapshots | {size: c.material}) for c in labelled]
            for chain in chains:
                self._finish(chain, size)
        path = self.works.directory / "subset.parquet"
        self._subset(chains[0]).save(path)
        measured = self._compare(chains, self.works, COMPARISON) if self.spec.comparison else ()
        return self._outcome(
            measured=measured,
            transfers=tuple(self._transfer(chains, n) for n in range(len(self.others))),
            subset=path,
            chosen=look(self.works, chains, self._random_subsets()),
        )

    def _random_subsets(self) -> dict[tuple[int, str, int], np.ndarray]:
        """Those of the comparison, by seed, group and size."""
        if "random" not in self.spec.baselines:
            return {}
        return {
            (seed, "random", size): self._random(seed, place)
            for seed in self.spec.repeats
            for place, size in enumerate(self.sizes)
        }

    def _grow(self, chains: list[Chain], place: int) -> list[Chain]:
        """Every search's subset at the next size."""
        if place < self.spec.first_acquired:
            return [
                replace(c, growing=add(c.growing, self._random(c.seed, place), place, None)) for c in chains
            ]
        chains, ensembles = self._ensembles(chains)
        before = self.sizes[place - 1] if place else 0
        acquired = Round(
            works=self.works,
            place=place,
            count=self.sizes[place] - before,
            labels=self._all_labels if self._balances_labels else None,
            fresh=self.spec.members is None or place == 0,
        ).acquire(chains, ensembles)
        return [self._take_in(chain, one, place) for chain, one in zip(chains, acquired, strict=True)]

    def _random(self, seed: int, place: int) -> np.ndarray:
        """The examples that chance alone would choose; a larger size holds the smaller ones."""
        order = random.generator(self.spec.seed, "subset search", seed, "start").permutation(
            self.facts.examples
        )
        return np.sort(order[: self.sizes[place]])

    def _ensembles(self, chains: list[Chain]) -> tuple[list[Chain], list[Voters]]:
        if self.spec.members is not None:
            own = self.works.own_members
            named = [replace(c, members=(*c.members, tuple(one.name for one in own))) for c in chains]
            return named, [own] * len(chains)
        jobs: dict[str, RunJob] = {}
        trained: list[Chain] = []
        for chain in chains:
            runs = dict(self._run(chain, number) for number in range(self.works.training.runs))
            jobs |= runs
            trained.append(replace(chain, keys=tuple(runs)))
        self.works.train(jobs, f"training on {trained[0].growing.size:,} examples")
        ensembles = [self.works.members(chain.keys) for chain in trained]
        return [
            replace(c, members=(*c.members, tuple(one.name for one in members)))
            for c, members in zip(trained, ensembles, strict=True)
        ], ensembles

    def _run(self, chain: Chain, number: int) -> tuple[str, RunJob]:
        warm = self.spec.search.start == "warm" and bool(chain.keys)
        return self.works.run(chain.material, chain.seed, number, parent=chain.keys[number] if warm else None)

    def _take_in(self, chain: Chain, one: Acquired, place: int) -> Chain:
        # What is chosen with one's own members belongs to the size that it gives, else to the one before.
        size = self.sizes[place if self.spec.members else place - 1]
        self._note(
            (chain.seed, chain.group, "search", size),
            examples_trained=self._examples_trained(chain.keys),
            examples_scored=one.scored,
        )
        return replace(chain, growing=add(chain.growing, one.indices, place, one.scores))

    @property
    def _balances_labels(self) -> bool:
        balances = any("classes" in method.select.strategy.by for method in self.spec.methods)
        return self.spec.search.labels == "known" and balances

    @cached_property
    def _all_labels(self) -> np.ndarray:
        return self._read_labels(np.arange(self.facts.examples))

    def _read_labels(self, indices: np.ndarray) -> np.ndarray:
        from headrace.trials.jobs import LabelJob

        return self.works.pool.do([LabelJob(indices=indices)])[0]

    def _note(self, stage: _Stage, **cost: int) -> None:
        """Note what a stage cost; what is known of it stays."""
        self.spent[stage] = replace(self.spent.get(stage) or _free(stage), **cost)

    def _examples_trained(self, keys: Sequence[str]) -> int:
        return sum(self.works.records[key]["examples_trained"] for key in keys)

    def _buy(self, chains: list[Chain], place: int) -> list[Chain] | Waiting:
        """The searches with the labels of their subsets, or what people are to be asked."""
        match self.spec.search.oracle:
            case None:
                return chains
            case "dataset":
                return [replace(c, labels=self._read_labels(c.growing.indices)) for c in chains]
            case "people":
                return self._ask(chains[0], place)

    def _ask(self, chain: Chain, place: int) -> list[Chain] | Waiting:
        assert self.people is not None
        labels = self.people.labels(chain.growing.indices, place)
        return labels if isinstance(labels, Waiting) else [replace(chain, labels=labels)]

    def _subset(self, chain: Chain) -> Subset:
        search, growing = self.spec.search, chain.growing
        indices = growing.indices
        return Subset(
            indices=indices,
            weights=growing.weights,
            rounds=growing.rounds[indices],
            scores=growing.scores[indices],
            labels=chain.labels if search.oracle == "people" else None,
            ids=None if self.works.ids is None else self.works.ids[indices],
            provenance=Provenance(
                workload=self.spec.workload.name,
                settings=self.spec.workload.settings,
                examples=self.facts.examples,
                checksum=self.facts.checksum,
                labels=search.labels,
                seed=self.spec.seed,
                repeat=chain.seed,
                acquisition=chain.method.acquisition,
                select={"name": chain.method.select.name, **chain.method.select.settings},
                choose_from=search.choose_from,
                members=chain.members,
                version=__version__,
            ),
        )

    def _finish(self, chain: Chain, size: int) -> None:
        """Keep the subset of this size, and note the labels that it needed."""
        folder = self.works.directory / "subsets" / f"seed-{chain.seed}"
        self._subset(chain).save(folder / f"{chain.group}-{size}.parquet")
        bought = len(chain.growing.fresh) if self.spec.search.labels == "hidden" else 0
        self._note((chain.seed, chain.group, "search", size), labels_bought=bought)

    def _transfer(self, chains: list[Chain], number: int) -> Transferred:
        """The comparison with other models."""
        name, facts = self.spec.transfer[number].label, self.others[number]
        works = replace(
            self.works,
            spec=self.spec.transferred(number),
            facts=facts,
            transfer=number,
            digests=self.origins[name].digests,
        )
        return Transferred(name=name, facts=facts, measured=self._compare(chains, works, transfer_to(name)))

    def _compare(self, chains: list[Chain], works: Works, stage: str) -> tuple[Measured, ...]:
        """Fresh runs on every subset and baseline; those of the search serve again where they are equal."""
        found = {(c.seed, c.group, size): made for c in chains for size, made in c.snapshots.items()}
        jobs: dict[str, RunJob] = {}
        keys: dict[tuple[int, str, int], list[str]] = {}
        for seed in self.spec.repeats:
            for group, size, budgeted in compared(self.spec, self.facts):
                material = found.get((seed, group, size)) or self._baseline(seed, group, size)
                own = len(material.indices) if group in self.spec.groups else budgeted
                for number in range(works.training.runs):
                    key, job = works.run(material, seed, number, budgeted=own)
                    jobs[key] = job
                    keys.setdefault((seed, group, size), []).append(key)
        works.train(jobs, f"the {stage}")
        measured: list[Measured] = []
        for (seed, group, size), made in keys.items():
            self._note((seed, group, stage, size), examples_trained=self._examples_trained(made))
            runs = tuple(works.records[key]["metrics"][works.facts.metric] for key in made)
            measured.append(Measured(seed=seed, group=group, size=size, runs=runs))
        return tuple(measured)

    def _baseline(self, seed: int, group: str, size: int) -> Material:
        everything = np.arange(self.facts.examples)
        indices = self._random(seed, self.sizes.index(size)) if group == "random" else everything
        labels = self._read_labels(indices) if self.spec.search.labels == "hidden" else None
        return Material(indices=indices, weights=np.ones(len(indices)), labels=labels)

    def _outcome(
        self,
        *,
        measured: tuple[Measured, ...] = (),
        transfers: tuple[Transferred, ...] = (),
        subset: Path | None = None,
        waiting: Waiting | None = None,
        chosen: Chosen | None = None,
    ) -> Outcome:
        works = self.works
        return Outcome(
            directory=works.directory,
            spec=self.spec,
            facts=self.facts,
            plan=self.plan,
            spent=tuple(self.spent[stage] for stage in map(_stage, self.plan) if stage in self.spent),
            trained=sum(record["examples_trained"] for record in works.records.values()),
            scored=sum(examples for examples, _ in works.scorings.values()),
            seconds=works.seconds,
            measured=measured,
            transfers=transfers,
            subset=subset,
            waiting=waiting,
            chosen=chosen,
            changes=tuple(change for origin in self.origins.values() for change in origin.changes),
            earlier=len(works.earlier),
        )


def _stage(cost: Cost) -> _Stage:
    return cost.seed, cost.group, cost.stage, cost.size


def _free(stage: _Stage) -> Cost:
    """A stage that has cost nothing yet."""
    seed, group, name, size = stage
    return Cost(seed=seed, group=group, stage=name, size=size, examples_trained=0)
