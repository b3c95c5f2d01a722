"""The bench of experiments: a worker loads the workload once, trains trials, and keeps suspended ones."""

from __future__ import annotations

import inspect as signatures
import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from headrace import random
from headrace.engines._base import Place
from headrace.engines.processes import physical_bytes
from headrace.errors import HeadraceError, InputError
from headrace.specs.experiment import Experiment
from headrace.store.changes import check_loaded
from headrace.store.facts import WorkloadFacts
from headrace.subsets.restrict import parts
from headrace.trials.tasks import Inspection, Report, Task

if TYPE_CHECKING:
    import torch
    from torch import nn

    from headrace.store.portrait_choice import PortraitTask
    from headrace.store.portrait_records import Portrait
    from headrace.trials.packing import Packing
    from headrace.trials.running import RunningTrial
    from headrace.trials.setting import Setting
    from headrace.workloads import Workload
    from headrace.workloads.fingerprint import Fingerprint
    from headrace.workloads.identity import Identity

BYTES_PER_PARAMETER = 16
"""A suspended trial in float32: the parameters, their gradients, and two moments."""


class Bench:
    """What a worker keeps: the workload on its device, and suspended trials.

    Args:
        experiment: What is run.
        place: Where the worker is; published is, for each study, the step beyond which no trial need be
            trained.
    """

    def __init__(self, experiment: Experiment, place: Place) -> None:
        self.place = place
        self._experiment = experiment
        self._setting: Setting | None = None
        self._identity: Identity | None = None
        self._expected: WorkloadFacts | None = None
        self._versions = True
        self._suspended: dict[tuple[str, int], RunningTrial] = {}
        self._packing: Packing | None = None
        self._fresh: tuple[tuple[str, int, bool], Setting] | None = None
        self.room = 1

    @property
    def setting(self) -> Setting:
        """The workload on this worker's device; loaded at the first use."""
        self.load()
        assert self._setting is not None
        return self._setting

    @property
    def fingerprint(self) -> Fingerprint:
        """That of the workload which this worker has loaded."""
        self.load()
        assert self._identity is not None
        return self._identity.fingerprint

    def load(self) -> None:
        """Load the workload, unless that is done.

        Raises:
            InputError: It cannot be loaded, or the device is not there.
        """
        if self._setting is None:
            self._setting = self._load()

    def expect(self, facts: WorkloadFacts, *, versions: bool = True) -> None:
        """Note what the folder's trials are trained on; this worker trains on nothing else.

        Args:
            facts: The folder's.
            versions: Whether versions of headrace and torch count.

        Raises:
            InputError: (at the next task) It has loaded something else.
        """
        self._expected, self._versions = facts, versions

    def on(self, subset: str) -> Setting:
        """The workload on a subset, once both are known to be those of the folder.

        Raises:
            InputError: They are others.
        """
        setting, expected = self.setting.on(subset), self._expected
        if expected is None:
            return setting
        if expected.fingerprint is not None:
            check_loaded(
                expected.fingerprint,
                self.fingerprint,
                self._experiment.workload.name,
                versions=self._versions,
            )
        part = expected.subsets.get(subset)
        if part is not None and part.sha256 != setting.file:
            raise InputError(
                f"the file of {subset!r} has changed while the experiment was running",
                where="grid.subset",
                got=self._experiment.subsets.get(subset, subset),
                fix="Put the file back and run again: what was stored before is kept.",
            )
        return setting

    def fresh(self, subset: str, kind: str, seed: int, *, endless: bool) -> Setting:
        """The workload on a subset for runs from a fresh seed; a random subset is drawn anew with it.

        Args:
            subset: The subset.
            kind: What the seed is for; seeds of two kinds are different.
            seed: The seed's number: with it, runs of all studies begin alike.
            endless: Whether they are trained to their budget, whether or not they reach the goal before.

        Raises:
            InputError: The workload or the subset's file is not that of the folder.
        """
        self.on(subset)
        asked = (kind, seed, endless)
        if self._fresh is None or self._fresh[0] != asked:
            experiment, setting = self._experiment, self.setting
            training = experiment.training.model_copy(update={"stop": "bound", "checkpoints": None})
            update = {"seed": random.integer_seed(experiment.seed, kind, seed), "training": training}
            # A goal that no training reaches keeps each at it until its budget, with one test at its end.
            made = replace(
                setting,
                experiment=experiment.model_copy(update=update),
                goal=-math.inf if endless else setting.goal,
                alike=True,
                _parts={},
            )
            self._fresh = (asked, made)
        return self._fresh[1].on(subset)

    def inspect(self) -> Inspection:
        """Look at the workload; workers that train together must have the same.

        Raises:
            InputErrors: They do not, in every one of them.
        """
        import torch

        if self.place.together:
            from headrace.trials.agreeing import check_same, least

            check_same(self._experiment, self.fingerprint)
            self.room = least(self.room)

        setting, first = self.setting, self._experiment.studies()[0]
        workload = setting.workload
        with users_code(self._experiment.workload.name):
            model = setting.new_model(first, 0)
            metrics = setting.evaluator("validation")(model)
            widths, alone = self._packs()
        found, refused = parts(workload, self._experiment)
        return Inspection(
            facts=WorkloadFacts(
                name=workload.name,
                goal=setting.goal,
                metric_name=workload.metric_name,
                train_examples=len(workload.train),
                validation_examples=len(workload.validation),
                test_examples=None if workload.test is None else len(workload.test),
                tokens_per_example=setting.tokens_per_example,
                parameters=_parameters(model),
                description=workload.description,
                classes=workload.classes,
                subsets=found,
                random_items=self._identity is not None and self._identity.random_items,
                workers_alike=self._workers_alike(),
                experiment=self._experiment.digest()[:16],
                fingerprint=self.fingerprint,
                packs=widths,
            ),
            start_metric=metrics[f"validation/{workload.metric_name}"],
            smooths_labels="label_smoothing" in signatures.signature(workload.loss).parameters,
            gpus=torch.cuda.device_count() if setting.device.type == "cuda" else 0,
            refused_policies=self._refused_policies(),
            refused_subsets=refused,
            alone=alone,
        )

    def _workers_alike(self) -> bool:
        """Whether any number of workers trains the same function."""
        from headrace.workloads.batchwise import batchwise

        found = self._identity
        if found is None or found.draws or found.random_items:
            return False
        setting, first = self.setting, self._experiment.studies()[0]
        with users_code(self._experiment.workload.name):
            return batchwise(setting.workload, setting.new_model(first, 0))

    def _packs(self) -> tuple[dict[str, int], dict[str, str]]:
        """How many trials of each study are trained as one, and why not more than one."""
        if self._experiment.training.pack == 1:
            return {}, {}
        from headrace.trials.packable import packs

        found = self._identity
        return packs(self.setting, steady=found is not None and not (found.draws or found.random_items))

    def _refused_policies(self) -> dict[str, str]:
        """The policies of the grid that cannot be used with the workload, and why."""
        from headrace.trials.feed import refusal

        reasons = {name: refusal(name, self.setting) for name in self._experiment.grid.policy}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def advance(self, task: Task, end: float = math.inf) -> Report:
        """Train a trial on, from where it was suspended or from its start.

        Args:
            task: Which trial, and how far.
            end: When `time.monotonic` has reached it, no further than the next evaluation.

        Raises:
            InputError: The workload or a subset's file is not that of the folder.
            HeadraceError: Of the workers that train it together, this one alone raised an error in it.
        """
        trial = self._resumed(task)
        start = len(trial.rows)
        published = self.place.published
        trial.advance(task.until, lambda: published[task.number] if time.monotonic() < end else trial.trained)
        report = self._report(task, trial, start)
        self.place.agree(report.record.error or "", f"in trial {task.trial} of {task.study.name}")
        return report

    def advance_together(self, tasks: Sequence[Task], pack: int, end: float = math.inf) -> list[Report]:
        """Train trials of one study on as one, see `headrace.trials.packing`.

        Args:
            tasks: To one step.
            pack: How many trials are trained as one.
            end: As in `advance`.

        Raises:
            InputError: The workload or a subset's file is not that of the folder.
        """
        from headrace.trials.packing import Packing

        if self._packing is None:
            self._packing = Packing()
        number, until = tasks[0].number, tasks[0].until
        trials = [self._resumed(task, pack) for task in tasks]
        sent = [len(trial.rows) for trial in trials]
        published = self.place.published
        trained = self._packing.advance(
            trials, until, lambda: published[number] if time.monotonic() < end else -1
        )
        return [
            self._report(task, new, start if new is old else 0)
            for task, old, new, start in zip(tasks, trials, trained, sent, strict=True)
        ]

    def _resumed(self, task: Task, pack: int = 1) -> RunningTrial:
        """The trial of a task as it was suspended, or before its start."""
        from headrace.trials.running import RunningTrial

        setting = self.on(task.study.configuration.subset)
        trial = self._suspended.pop((task.study.name, task.trial), None)
        return trial or RunningTrial(setting=setting, study=task.study, trial=task.trial, pack=pack)

    def _report(self, task: Task, trial: RunningTrial, start: int) -> Report:
        """What came of a task; the trial is suspended where there is room."""
        taken = tuple(trial.checkpoints)
        trial.checkpoints.clear()
        keep = not trial.settled and len(self._suspended) < self.room
        if keep:
            self._suspended[task.study.name, task.trial] = trial
        return Report(
            task=task,
            record=trial.record(),
            start=start,
            rows=trial.rows[start:],
            suspended=keep,
            checkpoints=taken,
        )

    def portray(self, task: PortraitTask) -> tuple[Portrait, bytes]:
        """Make a portrait: facts about it, and the table of all examples as a Parquet file."""
        from headrace.trials.portrait import portray

        return portray(self.on(task.study.configuration.subset), task)

    def forget(self, study: str) -> None:
        """Let go of a decided study's trials."""
        for key in [key for key in self._suspended if key[0] == study]:
            del self._suspended[key]

    def _load(self) -> Setting:
        import torch

        from headrace.trials.feed import BYTES_PER_EXAMPLE
        from headrace.trials.loading import load
        from headrace.trials.setting import Setting

        torch.set_num_threads(1)
        table = self._experiment.workload
        device = pick_device(self._experiment.training.device, self.place.local_rank)
        made: list[nn.Module] = []

        def untrained(workload: Workload) -> nn.Module:
            with random.torch_stream(self._experiment.seed, "inspection"):
                made.append(workload.build_model().to(device))
            return made[-1]

        with users_code(table.name):
            loaded = load(table, device, untrained, goal=table.goal)
        self._identity = loaded.identity
        setting = Setting(
            experiment=self._experiment,
            workload=loaded.workload,
            goal=loaded.workload.goal if table.goal is None else table.goal,
            device=device,
            draws=self._identity.draws,
            together=self.place.together,
        )
        size = BYTES_PER_PARAMETER * max(1, _parameters(made[-1]))
        if set(self._experiment.grid.policy) != {"shuffle"}:
            size += BYTES_PER_EXAMPLE * len(loaded.workload.train)
        self.room = max(1, _spare_bytes(device) // self.place.workers // size)
        return setting


@contextmanager
def users_code(spec: str) -> Generator[None]:
    """What the model, the loss or the metric raise before any trial began is an error of the input."""
    from headrace.workloads.registry import describe

    try:
        yield
    except HeadraceError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"making and evaluating an untrained model raised {describe(error)}",
            where=spec,
            fix="Fix the model, the loss or the metric.",
        ) from error


def pick_device(wanted: str, rank: int) -> torch.device:
    """The device of worker `rank`: GPUs are shared out in turn.

    A GPU becomes the process's current one, so that "cuda" in a user's own code means the same.

    Raises:
        InputError: The device asked for is not there.
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = ("cuda" if there["cuda"] else "cpu") if wanted == "auto" else wanted
    if not there[kind]:
        have = ", ".join(name for name, is_there in there.items() if is_there)
        raise InputError(
            "this machine does not have this device",
            where="training.device",
            got=wanted,
            fix=f"It has {have}.",
        )
    if kind != "cuda":
        return torch.device(kind)
    device = torch.device(kind, rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _spare_bytes(device: torch.device) -> int:
    """A quarter of the memory that trials may be kept in, of all workers together."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1] * torch.cuda.device_count() // 4
    return physical_bytes() // 4
