"""What an experiment will do and take: a pure function of what is stored and what a calibration found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

from headrace.analysis.choice import PILOTS
from headrace.experiments import fresh
from headrace.experiments.expected import Cost, Expectations, Side, with_interval
from headrace.experiments.pilots import Calibration
from headrace.specs.studies import StudyKey
from headrace.store.experiments import StoredExperiment
from headrace.store.portrait_choice import PortraitTask, portrait_task, representatives
from headrace.store.portraits import missing
from headrace.store.replicates import read
from headrace.store.search_facts import Facts

if TYPE_CHECKING:
    from headrace.specs.search import SubsetSearch

APART = 0.25
"""Studies, of those of which it can be, whose own setting is tried against the common one [D]."""
STORE_SECONDS = 0.01
"""To store a trial [D]."""
REPORT_SECONDS = 5.0, 0.5
"""To analyse and to draw, and more for each study [D]."""
TRIAL_BYTES, ROW_BYTES, PORTRAIT_BYTES, REPORT_BYTES = 4500, 60, 60, 2_500_000
"""Of a stored trial, each of its measurements, an example of a portrait, and the report with its figures."""
PORTRAIT = 1.3
"""Seconds of a step of a portrait, which records every example, over those of a trial's [D]."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """Memory and disk, in bytes; None: unknown.

    Attributes:
        per_process: The most that a worker process took in the calibration, without shared libraries.
        loaded: The same once the workload was loaded.
        machine: What the machine has.
        device_per_process: On a GPU.
        device: What a GPU has; 0 without one.
        disk_free: Free where the folder is.
    """

    per_process: int | None
    loaded: int | None
    machine: int
    device_per_process: int = 0
    device: int = 0
    disk_free: int | None = None


@dataclass(frozen=True, kw_only=True)
class WorkPlan:
    """What a run will do and take.

    Args:
        stored: What is there, with the workload's facts.
        calibration: What was seen.
        processes: How many trials the run trains at once.
        room: Memory and disk.
        searches: Subset -> the search that must find it before the run, if it is not found yet.
        files: Subset -> the file of its search.
    """

    stored: StoredExperiment
    calibration: Calibration
    processes: int
    room: Room
    searches: Mapping[str, SubsetSearch] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def expected(self) -> Expectations:
        """What is expected of studies."""
        return Expectations(stored=self.stored, calibration=self.calibration)

    @cached_property
    def left(self) -> list[StudyKey]:
        """The studies with training left."""
        return [study for study in self.stored.trained() if self.stored.judgement(study) is None]

    @cached_property
    def costs(self) -> dict[StudyKey, Cost]:
        """What each study that is trained takes, whether or not some of it is stored."""
        return {study: self.expected.of(study) for study in self.stored.trained()}

    @cached_property
    def replicates(self) -> tuple[int, int]:
        """Fresh runs that are missing, and at most how many more to choose between settings."""
        asked, stored = self.stored.experiment.replicates, self.stored
        if asked is None or not fresh.at_most(stored):
            return 0, 0
        there, judged = read(stored), [stored.judgement(study) for study in stored.trained()]
        of = asked.seeds * sum(one is None or bool(one.best) for one in judged)
        done = sum(run.ended(asked.until) and not run.pilot for run in there.runs.values())
        families = Counter(_family(study) for study in stored.trained())
        several = sum(number for number in families.values() if number > 1)
        return max(0, of - done), 0 if there.settings else 2 * PILOTS * several

    @cached_property
    def portraits(self) -> list[PortraitTask]:
        """Those that are missing; of studies that are not decided yet, those of typical ones."""
        stored, facts = self.stored, self.stored.facts
        epochs = stored.experiment.report.portrait_epochs
        if not self.left or facts is None or not epochs or stored.share is not None:
            return missing(stored)
        keys = stored.experiment.studies()
        chosen = representatives(keys, {key.name: (1, 0) for key in keys})
        return [
            portrait_task(
                key,
                (math.ceil(self.expected.of(key).best), 0),
                epochs,
                examples=facts.examples_in(key.configuration.subset),
                budget=stored.budget_steps(key),
            )
            for key in chosen
        ]

    def seconds(self, side: Side = "middle", nudged: StudyKey | None = None) -> dict[str, float]:
        """What each stage takes on this machine, by the clock."""
        stored, expected, processes = self.stored, self.expected, self.calibration.processes
        costs = {study: expected.of(study, side, nudged) for study in stored.trained()}
        trials = sum(costs[study].trials * self._open(study, costs[study]) for study in self.left)
        training = sum(costs[study].seconds * self._open(study, costs[study]) for study in self.left)
        longest = max((costs[study].trial_seconds for study in self.left), default=0.0)
        runs, choosing = self.replicates
        each = [expected.run_seconds(study, self._until(costs[study])) for study in costs]
        to_goal = [expected.run_seconds(study, costs[study].best) for study in costs]
        shown = [PORTRAIT * expected.run_seconds(task.study, task.steps) for task in self.portraits]
        working = bool(trials or runs or shown)
        stages = {
            "start": self.calibration.start_seconds + self.calibration.gauge_seconds * working,
            "searches": sum(self.search_seconds(spec) for spec in self.searches.values()) / processes,
            "studies": max(training / processes, longest) + trials * STORE_SECONDS,
            "replicates": (runs * fmean(each) + APART * choosing * fmean(to_goal)) / processes,
            "portraits": max([sum(shown) / processes, *shown]),
            "report": REPORT_SECONDS[0] + REPORT_SECONDS[1] * len(costs) if stored.share is None else 0.0,
        }
        return {name: float(value) for name, value in stages.items()}

    def _until(self, cost: Cost) -> float:
        asked = self.stored.experiment.replicates
        return cost.budget if asked is not None and asked.until == "budget" else cost.best

    def _open(self, study: StudyKey, cost: Cost) -> float:
        """The share of a study's steps that is not stored."""
        there = sum(record.trained for record in self.stored.study_records(study.name) if record.settled)
        return max(0.0, 1 - there / max(cost.steps, 1))

    def search_seconds(self, spec: SubsetSearch) -> float:
        """What a search takes, one job after the other."""
        trained, scored = self.search_examples(spec)
        layers, facts = self.expected.step_seconds, self.stored.facts
        if layers is None or facts is None or spec.training is None:
            return 0.0
        size = spec.training.batch_size
        key = self.expected.plain
        alike = key.model_copy(
            update={"configuration": key.configuration.model_copy(update={"batch_size": size})}
        )
        forward = self.expected.evaluation_seconds / facts.validation_examples
        return trained / size * (layers(alike) or 0.0) + scored * forward

    def search_examples(self, spec: SubsetSearch) -> tuple[int, int]:
        """Examples that a search trains, and that it scores."""
        from headrace.search.plan import plan as plan_search

        assert self.stored.facts is not None
        facts = Facts(
            examples=self.stored.facts.train_examples, checksum="", num_classes=1, classes=(), metric=""
        )
        costs = plan_search(spec, facts)
        return sum(cost.examples_trained for cost in costs), sum(cost.examples_scored for cost in costs)

    @cached_property
    def time(self) -> tuple[float, tuple[float, float]]:
        """Seconds from the start to the report, and about their 90% interval."""
        return with_interval(
            self.expected,
            lambda side, nudged: sum(self.seconds(side, nudged).values()),
            self._share_unseen,
        )

    @cached_property
    def examples(self) -> tuple[float, tuple[float, float]]:
        """Examples that all trials of the studies are trained on, and about their 90% interval."""

        def total(side: Side, nudged: StudyKey | None) -> float:
            return sum(self.expected.of(study, side, nudged).examples for study in self.stored.trained())

        value, (low, high) = with_interval(self.expected, total, self._share_unseen)
        return value, (low, min(high, self.examples_at_most))

    @cached_property
    def examples_at_most(self) -> int:
        """The same if every trial that counts is trained to its budget."""
        trials = self.stored.experiment.search.trials
        return sum(
            trials * self.stored.budget_steps(study) * study.configuration.batch_size
            for study in self.stored.trained()
        )

    @cached_property
    def _share_unseen(self) -> float:
        """The share of the work that is of studies with a level that was not looked at."""
        all_of = sum(cost.seconds for cost in self.costs.values())
        unseen = sum(cost.seconds for study, cost in self.costs.items() if self.expected.unseen(study))
        return unseen / all_of if all_of else 0.0

    @cached_property
    def disk_bytes(self) -> int:
        """What the folder takes at the end, about."""
        stored, experiment = self.stored, self.stored.experiment
        rows = sum(
            cost.trials * (TRIAL_BYTES + ROW_BYTES * self.expected.evaluations(study, cost.decided))
            for study, cost in self.costs.items()
        )
        kept = experiment.training.checkpoints
        weights = 0.0
        if kept is not None and stored.facts is not None:
            each = len(kept) if isinstance(kept, tuple) else int(kept)
            weights = 4.0 * stored.facts.parameters * (each + 1) * sum(c.trials for c in self.costs.values())
        shown = sum(
            PORTRAIT_BYTES
            * (stored.facts.examples_in(task.study.configuration.subset) if stored.facts else 0)
            for task in self.portraits
        )
        report = REPORT_BYTES * (stored.share is None)
        return round(rows + weights + shown + report + 512 * sum(self.replicates))

    @cached_property
    def warnings(self) -> list[str]:
        """What would go wrong, each with the fix."""
        return [*self.memory_lacks, *self._disk_lacks(), *self._errors()]

    @property
    def tuned(self) -> tuple[str, ...]:
        """What is tuned in the first study."""
        return self.stored.experiment.tuned(self.stored.trained()[0])

    @property
    def memory_lacks(self) -> list[str]:
        """What does not fit into memory."""
        return memory_lacks(self.room, self.processes)

    def _disk_lacks(self) -> list[str]:
        free, needed = self.room.disk_free, self.disk_bytes
        if free is None or needed <= free:
            return []
        return [
            f"{self.stored.directory}: the run writes about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB "
            "are free. Fix: choose another disk by --out, or keep fewer training.checkpoints."
        ]

    def _errors(self) -> list[str]:
        failed = [gauge for gauge in self.calibration.gauges if gauge.error is not None]
        return [
            f"{gauge.study.name}: the first steps of a trial raised {gauge.error}" for gauge in failed[:3]
        ]


def memory_lacks(room: Room, processes: int) -> list[str]:
    """What does not fit into memory, with the number of processes that would."""
    found: list[str] = []
    for each, there, where in (
        (room.per_process, room.machine, "this machine has"),
        (room.device_per_process, room.device, "the GPU has"),
    ):
        if each and each * processes > there > 0:
            fewer = there // each
            fix = (
                f"run with --processes {fewer}"
                if fewer
                else "use a smaller training.microbatch, or less data"
            )
            found.append(
                f"each of {processes} processes takes {each / 1e9:.2f} GB, "
                f"together {each * processes / 1e9:.1f} GB, and {where} {there / 1e9:.1f} GB. Fix: {fix}."
            )
    return found


def _family(study: StudyKey) -> tuple[str, int]:
    return study.optimizer, study.configuration.batch_size
