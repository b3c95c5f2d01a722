"""One search in progress, and how it chooses its next examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from headrace import random
from headrace.random import Name
from headrace.search.growing import Growing, candidates_of, choose
from headrace.search.memo import Material, Works
from headrace.specs.methods import Method
from headrace.store.members import Voters
from headrace.trials.jobs import Pick

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One search in progress: one seed, one method.

    Attributes:
        seed: Which of the comparison's searches.
        method: How examples are chosen.
        growing: The subset.
        labels: Of the subset's examples, where they are hidden.
        keys: The runs of the last round.
        members: For each round, the names of those that scored.
        snapshots: Size -> what a run on that subset is trained on.
    """

    seed: int
    method: Method
    growing: Growing
    labels: np.ndarray | None = None
    keys: tuple[str, ...] = ()
    members: tuple[tuple[str, ...], ...] = ()
    snapshots: dict[int, Material] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """What the method is called."""
        return self.method.label

    @property
    def material(self) -> Material:
        """What a run on the subset is trained on."""
        return Material(indices=self.growing.indices, weights=self.growing.weights, labels=self.labels)


@dataclass(frozen=True, kw_only=True)
class Acquired:
    """What a search chose next.

    Attributes:
        indices: The examples.
        scores: The scores of all examples for which they were chosen, or None where there are none.
        scored: Members x examples that went forward for it.
    """

    indices: np.ndarray
    scores: np.ndarray | None
    scored: int


@dataclass(frozen=True, kw_only=True)
class Round:
    """All searches at one size.

    Attributes:
        works: Who scores and chooses.
        place: The place of the size that is grown to.
        count: How many examples are chosen.
        labels: The true classes of all examples, read only where a strategy balances them.
        fresh: Whether the ensembles have not scored yet.
    """

    works: Works
    place: int
    count: int
    labels: np.ndarray | None
    fresh: bool

    def acquire(self, chains: Sequence[Chain], ensembles: Sequence[Voters]) -> list[Acquired]:
        """The next examples of each search."""
        asking = [members for chain, members in zip(chains, ensembles, strict=True) if chain.method.score]
        tables = iter(self.works.score(asking))
        scored = [next(tables) if chain.method.score else None for chain in chains]
        every = list(zip(chains, ensembles, scored, strict=True))
        picked = iter(self.works.pick([self._pick(*one) for one in every if one[0].method.select.in_worker]))
        acquired: list[Acquired] = []
        for chain, members, table in every:
            scores = self._scores(chain, table)
            ensemble = len(members) * self.works.facts.examples if chain.method.score and self.fresh else 0
            if chain.method.select.in_worker:
                found = next(picked)
                kept = None if chain.method.acquisition is None else scores
                one = Acquired(indices=found.indices, scores=kept, scored=ensemble + found.scored)
            else:
                assert table is not None
                assert scores is not None
                one = Acquired(indices=self._choose(chain, table, scores), scores=scores, scored=ensemble)
            acquired.append(one)
        return acquired

    def _scores(self, chain: Chain, table: pl.DataFrame | None) -> np.ndarray | None:
        name = chain.method.score
        return None if table is None or name is None else table[name].to_numpy()

    def _stream(self, chain: Chain) -> tuple[Name, ...]:
        return "subset search", chain.seed, "choose", chain.method.stream, self.place

    def _choose(self, chain: Chain, table: pl.DataFrame, scores: np.ndarray) -> np.ndarray:
        spec = self.works.spec
        return choose(
            chain.growing,
            scores,
            self.count,
            random.generator(spec.seed, *self._stream(chain)),
            select=chain.method.select,
            choose_from=spec.search.choose_from,
            classes=self._classes(table),
        )

    def _classes(self, table: pl.DataFrame) -> np.ndarray | None:
        """What a strategy may balance: true classes where they are known, else the ensemble's."""
        if self.labels is not None:
            return self.labels
        return table["predicted"].to_numpy() if "predicted" in table.columns else None

    def _pick(self, chain: Chain, members: Voters, table: pl.DataFrame | None) -> Pick:
        whole = chain.method.select.takes_members
        return Pick(
            members=members if whole else members[-1:],
            select=chain.method.select,
            count=self.count,
            chosen=chain.growing.indices,
            candidates=candidates_of(chain.growing, self.works.spec.search.choose_from),
            scores=self._scores(chain, table),
            stream=self._stream(chain),
        )
