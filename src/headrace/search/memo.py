"""Runs and scorings, each kept under a key made of all that determines it: nothing is done twice.

So a search that was killed goes on, two searches in one folder share what is the same, and a changed file
does again only what the change concerns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.ids import Ids
from headrace.random import Name
from headrace.sealed import damaged, sha256
from headrace.search.plan import checkpoint_steps, run_steps
from headrace.search.pool import Doer, Tell
from headrace.specs.methods import Select
from headrace.specs.search import SubsetSearch
from headrace.specs.search_tables import TrainingTable
from headrace.store.members import Voter, Voters
from headrace.store.runs import read_run
from headrace.store.search_facts import Facts
from headrace.store.tables import read_own
from headrace.trials.jobs import largest_shard

if TYPE_CHECKING:
    import polars as pl

    from headrace.trials.jobs import PickJob, RunJob

RUN_KEYS = {"runs", "checkpoints", "device"}
"""Keys of `[training]` that do not change what a run comes to."""

Progress = Callable[[str, int, int], None]
"""Called with (what is done, jobs done, jobs there are)."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a run is trained on.

    Attributes:
        indices: The examples, rising.
        weights: How often each was chosen.
        labels: Their labels, where they are hidden.
    """

    indices: np.ndarray
    weights: np.ndarray
    labels: np.ndarray | None = None

    def digest(self) -> str:
        """A SHA-256 of all three."""
        return _digest(*(part for part in (self.indices, self.weights, self.labels) if part is not None))


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A choice that looks at models; the fields are those of `picking.PickJob`."""

    members: Voters
    select: Select
    count: int
    chosen: np.ndarray
    candidates: np.ndarray
    scores: np.ndarray | None
    stream: tuple[Name, ...]


@dataclass(frozen=True, kw_only=True)
class Picked:
    """What was chosen, in that order, and how many examples went forward through how many members for it."""

    indices: np.ndarray
    scored: int


@dataclass(kw_only=True)
class Works:
    """The runs and scorings of a folder.

    Attributes:
        directory: The search's folder.
        spec: The search.
        facts: What is known of the workload.
        pool: Who does the jobs.
        tell: Called with (what, jobs done, jobs there are).
        transfer: Which of the search's other workloads this is; None for its own.
        records: Key -> what is recorded of each run that was asked for.
        scorings: Key -> (members x examples, seconds) of each scoring and each choice by models.
        ids: What the training examples are called; None: their indices.
        digests: Of the workload's fingerprint, then those of before accepted changes, see `origins.Origin`.
        earlier: The keys of runs from before the last change.
    """

    directory: Path
    spec: SubsetSearch
    facts: Facts
    pool: Doer
    tell: Progress | None = None
    transfer: int | None = None
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    scorings: dict[str, tuple[int, float]] = field(default_factory=dict)
    ids: Ids | None = None
    digests: tuple[str | None, ...] = (None,)
    earlier: set[str] = field(default_factory=set)

    def run(
        self,
        material: Material,
        seed: int,
        number: int,
        *,
        budgeted: int | None = None,
        parent: str | None = None,
    ) -> tuple[str, RunJob]:
        """The key and the job of run `number` on `material`.

        Args:
            material: What it is trained on.
            seed: Which of the comparison's searches.
            number: Which of the round's runs.
            budgeted: The examples that an epoch budget counts; those of the material by default.
            parent: The key of the run whose last weights it starts from.
        """
        from headrace.trials.jobs import RunJob

        training = self.training
        steps = run_steps(training, budgeted or len(material.indices))
        stream = ("subset search", seed, "run", number)
        plain = training.model_dump(mode="json", exclude=RUN_KEYS)
        own = {"stream": stream, "steps": steps, "material": material.digest(), "parent": parent}
        taken = () if self.transfer is not None else checkpoint_steps(training, steps)
        start = None
        if parent is not None:
            start = self.members([parent])[-1]
        key = self._first(
            lambda common: _key(common | plain, own),
            lambda key: self._stored(self._folder(key), taken) is not None,
        )
        if key != _key(self._common(self.digests[0]) | plain, own):
            self.earlier.add(key)
        return key, RunJob(
            folder=self._folder(key),
            stream=stream,
            indices=material.indices,
            weights=material.weights,
            labels=material.labels,
            steps=steps,
            checkpoints=taken,
            start=None if start is None else start.path,
            start_sha256=None if start is None else start.sha256,
            transfer=self.transfer,
        )

    @property
    def training(self) -> TrainingTable:
        """`[training]`, which the file's checks have made sure of."""
        assert self.spec.training is not None
        return self.spec.training

    def train(self, jobs: Mapping[str, RunJob], what: str) -> None:
        """Do those of the jobs that were not done yet; afterwards all are in `records`."""
        todo = {key: job for key, job in jobs.items() if self._stored(job.folder, job.checkpoints) is None}
        done = self.pool.do(list(todo.values()), self._telling(what))
        for key, record in zip(todo, done, strict=True):
            self.records[key] = record | {"checkpoints": jobs[key].checkpoints}
        for key, job in jobs.items():
            if key not in todo:
                self.records[key] = (self._stored(job.folder, job.checkpoints) or {}) | {
                    "checkpoints": job.checkpoints
                }

    def members(self, keys: Sequence[str]) -> Voters:
        """The checkpoints of these runs."""
        from headrace.trials.jobs import checkpoint_path

        return tuple(
            Voter(
                f"{key}/step-{step}",
                checkpoint_path(self._folder(key), step),
                self.records[key]["weights"].get(str(step)),
            )
            for key in keys
            for step in self.records[key]["checkpoints"]
        )

    @cached_property
    def own_members(self) -> Voters:
        """The user's checkpoints; a name holds the file's checksum, so another file is another member."""
        sums = {path: sha256(Path(path)) for path in self.facts.members}
        return tuple(Voter(f"{path}@{found[:16]}", Path(path), found) for path, found in sums.items())

    def score(self, ensembles: Sequence[Voters]) -> list[pl.DataFrame]:
        """The scores of all examples by each ensemble: a column for each function, and `predicted`."""
        from headrace.trials.jobs import ScoreJob

        shards = _shards(self.facts.examples)
        jobs: dict[Path, ScoreJob] = {}
        for members in ensembles:
            for start, stop in shards:
                path = self._shard(members, start)
                if not path.is_file():
                    jobs[path] = ScoreJob(path=path, members=members, start=start, stop=stop)
        self.pool.do(list(jobs.values()), self._telling("scoring the pool"))
        return [self._scores(members, shards) for members in ensembles]

    def pick(self, picks: Sequence[Pick]) -> list[Picked]:
        """What those methods choose that look at models."""
        from headrace.trials.jobs import PickJob

        jobs: dict[Path, PickJob] = {}
        keys = [self._pick_key(pick) for pick in picks]
        for key, pick in zip(keys, picks, strict=True):
            path = self.directory / "choices" / f"{key}.parquet"
            if not path.is_file():
                jobs[path] = PickJob(path=path, **vars(pick))
        self.pool.do(list(jobs.values()), self._telling("choosing"))
        return [self._picked(key) for key in keys]

    def _pick_key(self, pick: Pick) -> str:
        arrays = (part for part in (pick.chosen, pick.candidates, pick.scores) if part is not None)
        plain = {
            "members": [member.name for member in pick.members],
            "select": {"name": pick.select.name, **pick.select.settings},
            "count": pick.count,
            "stream": pick.stream,
            "build": self.spec.members.build if self.spec.members else None,
        }
        made = {"arrays": _digest(*arrays)}
        return self._first(
            lambda common: _key(common, plain, made),
            lambda key: (self.directory / "choices" / f"{key}.parquet").is_file(),
        )

    def _picked(self, key: str) -> Picked:
        path = self.directory / "choices" / f"{key}.parquet"
        frame, metadata = read_own(path, "the choices")
        picked = Picked(indices=frame["index"].to_numpy(), scored=int(metadata["scored"]))
        self.scorings[key] = picked.scored, float(metadata["seconds"])
        return picked

    @property
    def seconds(self) -> float:
        """Of all different runs and scorings, added up over processes."""
        return sum(r["seconds"] for r in self.records.values()) + sum(s for _, s in self.scorings.values())

    def _scores(self, members: Voters, shards: Sequence[tuple[int, int]]) -> pl.DataFrame:
        import polars as pl

        read = [(read_own(self._shard(members, start), "the scores"), stop - start) for start, stop in shards]
        for (start, _), ((frame, _), height) in zip(shards, read, strict=True):
            if frame.height != height:
                raise damaged(self._shard(members, start), "the scores")
        seconds = sum(float(metadata["seconds"]) for (_, metadata), _ in read)
        self.scorings[self._scoring(members)] = len(members) * self.facts.examples, seconds
        return pl.concat([frame for (frame, _), _ in read])

    def _shard(self, members: Voters, start: int) -> Path:
        return self.directory / "scores" / self._scoring(members) / f"from-{start}.parquet"

    def _scoring(self, members: Voters) -> str:
        own = self.spec.members.build if self.spec.members else None
        plain = {"members": [member.name for member in members], "build": own}
        return self._first(
            lambda common: _key(common, plain),
            lambda key: all(
                (self.directory / "scores" / key / f"from-{start}.parquet").is_file()
                for start, _ in _shards(self.facts.examples)
            ),
        )

    def _first(self, key: Callable[[dict[str, Any]], str], there: Callable[[str], bool]) -> str:
        """The key by the workload's fingerprint, or by one of before under which there is something."""
        now, *before = (key(self._common(digest)) for digest in self.digests)
        return now if there(now) else next(filter(there, before), now)

    def _common(self, digest: str | None) -> dict[str, Any]:
        workload = self.spec.workload.model_dump(mode="json", exclude={"goal"})
        plain = {"workload": workload, "data": self.facts.checksum, "seed": self.spec.seed}
        return plain if digest is None else plain | {"fingerprint": digest}

    def _folder(self, key: str) -> Path:
        return self.directory / "runs" / key

    def _stored(self, folder: Path, taken: Sequence[int]) -> dict[str, Any] | None:
        """What is recorded of a finished run, if all its checkpoints that are asked for are there."""
        from headrace.trials.jobs import checkpoint_path

        there = all(checkpoint_path(folder, step).is_file() for step in taken)
        record = read_run(folder) if there else None
        if record is None or self.facts.metric not in record.metrics:
            return None
        # The first files held no checksums of weights.
        bare = record.format == 1 and not record.weights
        known = bare or {str(step) for step in taken} <= record.weights.keys()
        return record.model_dump() if known else None

    def _telling(self, what: str) -> Tell | None:
        tell = self.tell
        return None if tell is None else lambda done, there: tell(what, done, there)


def _shards(examples: int) -> list[tuple[int, int]]:
    size = largest_shard(examples)
    return [(start, min(start + size, examples)) for start in range(0, examples, size)]


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _key(*parts: Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]
