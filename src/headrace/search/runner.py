"""The search: start at random, train, score the pool, acquire, and again, until the subset is large enough.

Chitta et al. (2019, arXiv 1905.12737), with choosing from the whole pool after Haussmann et al. (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from headrace import __version__, random
from headrace.engines.processes import physical_bytes
from headrace.search.chosen import look
from headrace.search.growing import add, empty
from headrace.search.memo import Material, Progress, Works
from headrace.search.people import People, people_of
from headrace.search.plan import COMPARISON, compared, counts, plan, process_bytes, transfer_to
from headrace.search.readiness import check_folder, check_memory, check_ready, check_transfer
from headrace.search.rounds import Acquired, Chain, Round
from headrace.search.workers import Workers, follow, follows
from headrace.specs.search import SubsetSearch
from headrace.store import lock
from headrace.store.changes import check_reason
from headrace.store.chosen import Chosen
from headrace.store.members import Voters
from headrace.store.origins import OWN, Origin, settle_origins
from headrace.store.outcome import Cost, Outcome, Waiting
from headrace.store.search_facts import Facts
from headrace.store.searches import (
    Compared,
    ComparedElsewhere,
    Missing,
    SearchRecord,
    load_search,
    write_asked,
    write_search,
)
from headrace.subsets.file import Provenance, Subset
from headrace.trials.jobs import Label, Names, Run

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
    engine: str = "local",
) -> Outcome:
    """Search for a subset, or resume the search.

    What comes out depends on no interruption and on no number of processes. The folder may hold the work of
    another search: what is the same is not done again.

    Args:
        spec: What to search for.
        directory: The folder; made where it is not there.
        processes: How many runs are trained at once; None for one per core, or on GPUs a few each.
        engine: Where, by its name in `engines.registry`; under torchrun it has no effect.
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
    if follows():
        return follow(spec, processes)
    with Workers(spec, processes, engine) as workers, lock.exclusive(directory):
        check_ready(spec, workers.facts)
        for number, other in enumerate(workers.others):
            check_transfer(spec, number, workers.facts, other)
        check_memory(spec, workers.facts, workers.processes, physical_bytes())
        costs = plan(spec, workers.facts)
        check_folder(spec, directory)
        origins = settle_origins(directory, workers.fingerprints, why=accept_change)
        (ids,) = workers.do([Names()])
        works = Works(
            directory=directory,
            spec=spec,
            facts=workers.facts,
            workers=workers,
            notify=progress,
            ids=ids,
            digests=origins[OWN].digests,
        )
        write_asked(directory, spec)
        people = people_of(works, answers, accept=accept_labels)
        running = _Search(works=works, plan=costs, others=workers.others, people=people, origins=origins)
        if announce is not None:
            announce(costs, process_bytes(spec, workers.facts))
        outcome = running.to_the_end()
        workers.finish(outcome)
        return outcome


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
        own = self._compare(chains, self.works, COMPARISON) if self.spec.comparison else ()
        return self._outcome(
            compared=own,
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
        jobs: dict[str, Run] = {}
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

    def _run(self, chain: Chain, number: int) -> tuple[str, Run]:
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
        return self.works.workers.do([Label(indices=indices)])[0]

    def _note(self, stage: _Stage, **cost: int) -> None:
        """Note what a stage cost; other facts about it stay."""
        self.spent[stage] = replace(self.spent.get(stage) or _free(stage), **cost)

    def _examples_trained(self, keys: Sequence[str]) -> int:
        return sum(self.works.records[key].examples_trained for key in keys)

    def _buy(self, chains: list[Chain], place: int) -> list[Chain] | Waiting:
        """The searches with the labels of their subsets, or what people must be asked."""
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

    def _transfer(self, chains: list[Chain], number: int) -> ComparedElsewhere:
        """The comparison with other models."""
        name, facts = self.spec.transfer[number].label, self.others[number]
        works = replace(
            self.works,
            spec=self.spec.transferred(number),
            facts=facts,
            transfer=number,
            digests=self.origins[name].digests,
        )
        return ComparedElsewhere(
            name=name, facts=facts, compared=self._compare(chains, works, transfer_to(name))
        )

    def _compare(self, chains: list[Chain], works: Works, stage: str) -> tuple[Compared, ...]:
        """Fresh runs on every subset and baseline; those of the search serve again where they are equal."""
        found = {(c.seed, c.group, size): made for c in chains for size, made in c.snapshots.items()}
        jobs: dict[str, Run] = {}
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
        for (seed, group, size), made in keys.items():
            self._note((seed, group, stage, size), examples_trained=self._examples_trained(made))
        return tuple(
            Compared(seed=seed, group=group, size=size, runs=tuple(made))
            for (seed, group, size), made in keys.items()
        )

    def _baseline(self, seed: int, group: str, size: int) -> Material:
        everything = np.arange(self.facts.examples)
        indices = self._random(seed, self.sizes.index(size)) if group == "random" else everything
        labels = self._read_labels(indices) if self.spec.search.labels == "hidden" else None
        return Material(indices=indices, weights=np.ones(len(indices)), labels=labels)

    def _outcome(
        self,
        *,
        compared: tuple[Compared, ...] = (),
        transfers: tuple[ComparedElsewhere, ...] = (),
        subset: Path | None = None,
        waiting: Waiting | None = None,
        chosen: Chosen | None = None,
    ) -> Outcome:
        """Keep what the search came to; it is what anyone will find in the folder."""
        works = self.works
        record = SearchRecord(
            search=self.spec.to_toml(),
            facts=self.facts,
            plan=self.plan,
            spent=tuple(self.spent[stage] for stage in map(_stage, self.plan) if stage in self.spent),
            runs=tuple(sorted(works.records)),
            scored=sum(examples for examples, _ in works.scorings.values()),
            seconds=works.seconds,
            compared=compared,
            transfers=transfers,
            subset=None if subset is None else subset.name,
            waiting=None if waiting is None else _missing(waiting, works.directory),
            chosen=None if chosen is None else chosen.key,
            changes=tuple(change for origin in self.origins.values() for change in origin.changes),
            earlier=len(works.earlier),
        )
        write_search(works.directory, record)
        outcome = load_search(works.directory)
        assert outcome is not None
        return outcome


def _missing(waiting: Waiting, directory: Path) -> Missing:
    tasks = (path.relative_to(directory).as_posix() for path in waiting.tasks)
    return Missing(missing=waiting.missing, tasks=tuple(tasks))


def _stage(cost: Cost) -> _Stage:
    return cost.seed, cost.group, cost.stage, cost.size


def _free(stage: _Stage) -> Cost:
    """A stage that has cost nothing yet."""
    seed, group, name, size = stage
    return Cost(seed=seed, group=group, stage=name, size=size, examples_trained=0)
