"""Runs and scorings, each kept under a key made of all that determines it: nothing is done twice.

So a search that was killed resumes, two searches in one folder share what is the same, and a changed file
does again only what the change concerns.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.engines._base import Handle
from headrace.files import remove, write_whole
from headrace.ids import Ids
from headrace.sealed import sha256
from headrace.sealed_tables import damaged, read_table, write_table
from headrace.search.plan import checkpoint_steps, run_steps
from headrace.search.workers import Workers
from headrace.specs.search import SubsetSearch
from headrace.specs.search_tables import TrainingTable
from headrace.store.members import Voter, Voters
from headrace.store.runs import RunRecord, checkpoint_path, read_run, write_run
from headrace.store.search_facts import Facts
from headrace.trials.jobs import Choice, Pick, Run, Score, Scores, Sums, Trained, largest_shard

if TYPE_CHECKING:
    import polars as pl

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
        facts: Facts about the workload.
        workers: Who does the jobs.
        notify: Called with (what, jobs done, jobs there are).
        transfer: Which of the search's other workloads this is; None for its own.
        records: Key -> what is recorded of each run that was asked for.
        taken: Key -> the steps of the checkpoints that vote.
        scorings: Key -> (members x examples, seconds) of each scoring and each choice by models.
        ids: What the training examples are called; None: their indices.
        digests: Of the workload's fingerprint, then those of before accepted changes, see `origins.Origin`.
        earlier: The keys of runs from before the last change.
    """

    directory: Path
    spec: SubsetSearch
    facts: Facts
    workers: Workers
    notify: Progress | None = None
    transfer: int | None = None
    records: dict[str, RunRecord] = field(default_factory=dict[str, RunRecord])
    taken: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
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
    ) -> tuple[str, Run]:
        """The key and the job of run `number` on `material`.

        Args:
            material: What it is trained on.
            seed: Which of the comparison's searches.
            number: Which of the round's runs.
            budgeted: The examples that an epoch budget counts; those of the material by default.
            parent: The key of the run whose last weights it starts from.
        """
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
        return key, Run(
            stream=stream,
            indices=material.indices,
            weights=material.weights,
            labels=material.labels,
            steps=steps,
            checkpoints=taken,
            start=None if start is None else start.file,
            start_sha256=None if start is None else start.sha256,
            transfer=self.transfer,
        )

    @property
    def training(self) -> TrainingTable:
        """`[training]`, which the file's checks have made sure of."""
        assert self.spec.training is not None
        return self.spec.training

    def train(self, jobs: Mapping[str, Run], what: str) -> None:
        """Do those of the jobs that were not done yet; afterwards all are in `records`."""
        self.taken |= {key: job.checkpoints for key, job in jobs.items()}
        stored = {key: self._stored(self._folder(key), job.checkpoints) for key, job in jobs.items()}
        todo = [key for key, record in stored.items() if record is None]
        self.records |= {key: record for key, record in stored.items() if record is not None}
        notify = self._notifying(what, len(todo))
        for number, result in self.workers.each([self._sent(jobs[key]) for key in todo]):
            self.records[todo[number]] = self._kept(todo[number], result)
            notify()

    def _sent(self, job: Run) -> Run:
        return job if job.start is None else replace(job, start=self.workers.share(job.start))

    def _kept(self, key: str, trained: Trained) -> RunRecord:
        """The record of a finished run; its appearance makes the run count, so it is written last."""
        folder = self._folder(key)
        for step, content in trained.weights.items():
            write_whole(checkpoint_path(folder, step), content)
        record = RunRecord(
            key=key,
            examples_trained=trained.examples_trained,
            metrics=trained.metrics,
            seconds=trained.seconds,
            weights={
                str(step): hashlib.sha256(content).hexdigest() for step, content in trained.weights.items()
            },
        )
        write_run(folder, record)
        return record

    def members(self, keys: Sequence[str]) -> Voters:
        """The checkpoints of these runs."""
        return tuple(
            Voter(
                f"{key}/step-{step}",
                Handle(path=checkpoint_path(self._folder(key), step)),
                self.records[key].weights.get(str(step)),
            )
            for key in keys
            for step in self.taken[key]
        )

    @cached_property
    def own_members(self) -> Voters:
        """The user's checkpoints; a name holds the file's checksum, so another file is another member."""
        sums = {path: sha256(Path(path)) for path in self.facts.members}
        return tuple(
            Voter(f"{path}@{found[:16]}", Handle(path=Path(path)), found) for path, found in sums.items()
        )

    def score(self, ensembles: Sequence[Voters]) -> list[pl.DataFrame]:
        """The scores of all examples by each ensemble: a column for each function, and `predicted`."""
        shards = _shards(self.facts.examples)
        asked = {
            self._shard(members, start): (members, start, stop)
            for members in ensembles
            for start, stop in shards
        }
        self._score_all({path: one for path, one in asked.items() if not path.is_file()})
        return [self._scores(members, shards) for members in ensembles]

    def _score_all(self, asked: Mapping[Path, tuple[Voters, int, int]]) -> None:
        """Score shards, all with some members before any with the next; the sums are kept in between."""
        notify = self._notifying("scoring the pool", len(asked))
        jobs = {
            path: Score(members=self.workers.share_all(members), start=start, stop=stop)
            for path, (members, start, stop) in asked.items()
        }
        seconds = dict.fromkeys(jobs, 0.0)
        while jobs:
            paths = list(jobs)
            for number, result in self.workers.each([self._begun(path, jobs[path]) for path in paths]):
                path = paths[number]
                seconds[path] += result.seconds
                if self._keep(path, result, seconds[path]):
                    del jobs[path]
                    notify()

    def _begun(self, path: Path, job: Score) -> Score:
        """The scoring with what was summed before, if there is something."""
        sums = _unfinished(path)
        return replace(job, before=self.workers.share(Handle(path=sums)) if sums.is_file() else None)

    def _keep(self, path: Path, scored: Scores | Sums, seconds: float) -> bool:
        """Keep what was scored of a shard; whether that is all of it."""
        if isinstance(scored, Sums):
            write_whole(_unfinished(path), scored.content)
            return False
        write_table(path, scored.columns, {"seconds": str(seconds)})
        remove(_unfinished(path))
        return True

    def pick(self, picks: Sequence[Pick]) -> list[Picked]:
        """What those methods choose that look at models."""
        keys = [self._pick_key(pick) for pick in picks]
        paths = {self._choice(key): pick for key, pick in zip(keys, picks, strict=True)}
        todo = {path: pick for path, pick in paths.items() if not path.is_file()}
        notify = self._notifying("choosing", len(todo))
        jobs = [replace(pick, members=self.workers.share_all(pick.members)) for pick in todo.values()]
        for number, choice in self.workers.each(jobs):
            _keep_choice(list(todo)[number], choice)
            notify()
        return [self._picked(key) for key in keys]

    def _choice(self, key: str) -> Path:
        return self.directory / "choices" / f"{key}.parquet"

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
            lambda key: self._choice(key).is_file(),
        )

    def _picked(self, key: str) -> Picked:
        frame, metadata = read_table(self._choice(key), "the choices")
        picked = Picked(indices=frame["index"].to_numpy(), scored=int(metadata["scored"]))
        self.scorings[key] = picked.scored, float(metadata["seconds"])
        return picked

    @property
    def seconds(self) -> float:
        """Of all different runs and scorings, added up over processes, in any order of work."""
        runs = (record.seconds for record in self.records.values())
        return math.fsum((*runs, *(seconds for _, seconds in self.scorings.values())))

    def _scores(self, members: Voters, shards: Sequence[tuple[int, int]]) -> pl.DataFrame:
        import polars as pl

        read = [
            (read_table(self._shard(members, start), "the scores"), stop - start) for start, stop in shards
        ]
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

    def _stored(self, folder: Path, taken: Sequence[int]) -> RunRecord | None:
        """What is recorded of a finished run, if all its checkpoints that are asked for are there."""
        there = all(checkpoint_path(folder, step).is_file() for step in taken)
        record = read_run(folder) if there else None
        if record is None or self.facts.metric not in record.metrics:
            return None
        # The first files held no checksums of weights.
        bare = record.format == 1 and not record.weights
        known = bare or {str(step) for step in taken} <= record.weights.keys()
        return record if known else None

    def _notifying(self, what: str, jobs: int) -> Callable[[], None]:
        """What is called after each of this many jobs, when its result is kept."""
        done = count(1)

        def called() -> None:
            number = next(done)
            if self.notify is not None:
                self.notify(what, number, jobs)

        return called


def _unfinished(path: Path) -> Path:
    """Where the sums of a scoring lie that members are missing of."""
    return path.with_suffix(".safetensors")


def _keep_choice(path: Path, choice: Choice) -> None:
    metadata = {"scored": str(choice.scored), "seconds": str(choice.seconds)}
    write_table(path, {"index": choice.indices}, metadata)


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
