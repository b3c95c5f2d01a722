"""The jobs of an experiment, and the making of the bench that does them. Imports no torch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Self

from headrace.engines._base import Place
from headrace.specs.experiment import Experiment
from headrace.specs.subset_names import is_random
from headrace.store.facts import WorkloadFacts
from headrace.store.portrait_choice import PortraitTask
from headrace.trials.tasks import Inspection, Report, Task

if TYPE_CHECKING:
    from headrace.store.portrait_records import Portrait
    from headrace.trials.bench import Bench


@dataclass(frozen=True)
class MakeBench:
    """Makes a worker's bench, with the workload loaded.

    Attributes:
        experiment: What is run, as JSON.
        stand_ins: Subset that is yet to be searched for -> the random one in its place, see
            `experiments.searched.stand_ins`.
    """

    experiment: str
    stand_ins: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """For this experiment."""
        random = {name: path for name, path in experiment.subsets.items() if is_random(path)}
        sought = {name: f"{name}.toml" for name in random}
        plain = experiment.model_copy(update={"subsets": experiment.subsets | sought})
        return cls(plain.model_dump_json(), tuple(random.items()))

    def __call__(self, place: Place) -> Bench:
        """The bench of the worker there."""
        from headrace.trials.bench import Bench

        asked = Experiment.model_validate_json(self.experiment)
        asked = asked.model_copy(update={"subsets": asked.subsets | dict(self.stand_ins)})
        bench = Bench(asked, place)
        bench.load()
        return bench


@dataclass(frozen=True)
class Inspect:
    """Look at the workload; workers that train together see whether they have the same."""

    def do(self, bench: Bench) -> Inspection:
        """Do it."""
        return bench.inspect()


@dataclass(frozen=True)
class Expect:
    """Note what the folder's trials are trained on; nothing is trained on anything else."""

    facts: WorkloadFacts

    def do(self, bench: Bench) -> None:
        """Do it."""
        bench.expect(self.facts)


@dataclass(frozen=True, kw_only=True)
class Advance:
    """Train trials on, one after the other or as one.

    Attributes:
        tasks: The trials, and how far; as one, those of one study to one step.
        forget: Studies that were decided: their suspended trials are let go first.
        seconds: After them each ends at its next evaluation; None: whenever it is far enough.
        pack: How many trials are trained as one.
    """

    tasks: tuple[Task, ...]
    forget: tuple[str, ...] = ()
    seconds: float | None = None
    pack: int = 1

    def do(self, bench: Bench) -> list[Report]:
        """Do it."""
        for study in self.forget:
            bench.forget(study)
        end = inf if self.seconds is None else time.monotonic() + self.seconds
        if self.pack > 1:
            return bench.advance_together(self.tasks, self.pack, end)
        return [bench.advance(task, end) for task in self.tasks]


@dataclass(frozen=True)
class Portray:
    """Make a portrait: facts about it, and the table of all examples as a Parquet file."""

    task: PortraitTask

    def do(self, bench: Bench) -> tuple[Portrait, bytes]:
        """Do it."""
        return bench.portray(self.task)
