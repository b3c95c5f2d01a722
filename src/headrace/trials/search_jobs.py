"""What worker processes of a search do: look at the workload, give labels, train a run, score a shard.

Every job is a pure function of the file and of itself, and leaves its result in whole files: a job that was
interrupted is done again from its last whole piece, with the same result.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from headrace import random, tensors
from headrace.ensembles.features import last_layer
from headrace.errors import HeadraceError, InputError
from headrace.files import write_whole
from headrace.sampling.batches import Batch, shuffled_batches
from headrace.specs.search import SubsetSearch
from headrace.store.members import given
from headrace.store.runs import RunRecord, write_run
from headrace.store.search_facts import Facts
from headrace.subsets.view import Part, checksum, mean_one, weighted
from headrace.tensors import read_checkpoint
from headrace.training.loop import Measurement, train
from headrace.training.recipe import Recipe
from headrace.training.stream import TorchStream
from headrace.trials.bench import pick_device
from headrace.trials.hanging import clean_targets, galleries
from headrace.trials.jobs import (
    Expected,
    HangJob,
    InspectJob,
    LabelJob,
    NamesJob,
    PickJob,
    RunJob,
    ScoreJob,
    checkpoint_path,
    largest_shard,
)
from headrace.trials.loading import Loaded, load
from headrace.trials.picking import Picker
from headrace.trials.scoring import MEMBERS_AT_ONCE, MEMORY_BYTES, SCORE_BATCH, Scorer, scoring_bytes
from headrace.workloads import Workload
from headrace.workloads.registry import describe, find_function

Job = InspectJob | LabelJob | NamesJob | RunJob | ScoreJob | PickJob | HangJob
_DOING: dict[type, str] = {
    InspectJob: "making an untrained model and calling it",
    LabelJob: "reading labels",
    NamesJob: "reading ids",
    RunJob: "a training run",
    ScoreJob: "scoring",
    PickJob: "choosing",
    HangJob: "showing examples",
}


class Workshop:
    """What a worker process keeps between jobs: the workload.

    Args:
        spec: The search.
        rank: The worker's number; GPUs are shared out in turn.
        trains_only: Whether models are trained and nothing is chosen by them.
    """

    def __init__(self, spec: SubsetSearch, rank: int, *, trains_only: bool = False) -> None:
        self._spec = spec
        self._trains_only = trains_only
        self._rank = rank
        self._others: dict[int, Workshop] = {}

    def do(self, job: Job, expected: Expected | None = None) -> Any:
        """Do a job; what it returns is small and can be pickled.

        Args:
            job: The job.
            expected: The fingerprints of the search's workloads, once they are known.

        Raises:
            HeadraceError: What went wrong; whatever the user's model, loss, metric or data raise is an
                `InputError` that tells its place.
        """
        try:
            return self._do(job, expected or {})
        except HeadraceError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{_DOING[type(job)]} raised {describe(error)}",
                where=self._spec.workload.name,
                fix="Mend the model, the loss, the metric or the data.",
            ) from error

    def _do(self, job: Job, expected: Expected) -> Any:
        if isinstance(job, InspectJob | RunJob) and (other := job.transfer) is not None:
            theirs: Expected = {None: expected[other]} if other in expected else {}
            return self._other(other).do(replace(job, transfer=None), theirs)
        self._loaded.check(expected.get(None))
        match job:
            case InspectJob():
                return self._inspect()
            case LabelJob() | HangJob() | NamesJob():
                return self._tell(job)
            case RunJob():
                return self._run(job)
            case ScoreJob():
                return self._scorer.score(job)
            case PickJob():
                return self._picker.pick(job)

    def _tell(self, job: LabelJob | HangJob | NamesJob) -> Any:
        """What is known of some examples."""
        if isinstance(job, NamesJob):
            return self._workload.example_ids
        if isinstance(job, HangJob):
            hidden = self._spec.search.labels == "hidden"
            return galleries(self._workload, job, hidden=hidden)
        return clean_targets(self._workload, job.indices) if job.right else self._labels(job.indices)

    def _other(self, transfer: int) -> Workshop:
        if transfer not in self._others:
            self._others[transfer] = Workshop(self._spec.transferred(transfer), self._rank, trains_only=True)
        return self._others[transfer]

    @cached_property
    def _device(self) -> torch.device:
        return pick_device(self._spec.training.device if self._spec.training else "auto", self._rank)

    @cached_property
    def _loaded(self) -> Loaded:
        trains = self._spec.training is not None

        def untrained(workload: Workload) -> nn.Module:
            return self._untrained(workload.build_model if trains else self._member_of(workload))

        return load(self._spec, self._device, untrained, build=self._own_build)

    @property
    def _workload(self) -> Workload:
        return self._loaded.workload

    @property
    def _own_build(self) -> str | None:
        """What builds the members, if it is not the workload."""
        return None if self._trains_only or self._spec.members is None else self._spec.members.build

    def _member_of(self, workload: Workload) -> Callable[[], nn.Module]:
        return workload.build_model if self._own_build is None else find_function(self._own_build)

    @cached_property
    def _build_member(self) -> Callable[[], nn.Module]:
        return self._member_of(self._workload)

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(
            data=self._loaded.seen,
            build=self._build_member,
            classes=self._num_classes(),
            device=self._device,
            labelled=self._spec.search.labels == "known",
            multilabel=self._workload.kind == "labels",
        )

    @cached_property
    def _picker(self) -> Picker:
        return Picker(
            data=self._loaded.seen,
            build=self._build_member,
            device=self._device,
            seed=self._spec.seed,
            memory_bytes=MEMORY_BYTES,
        )

    def _inspect(self) -> Facts:
        workload, own = self._workload, self._spec.members
        classes = self._num_classes()
        names = workload.classes or tuple(str(number) for number in range(classes))
        if len(names) != classes:
            raise InputError(
                f"the workload has {len(names)} classes, and the model's output another number",
                where=self._spec.workload.name,
                got=classes,
            )
        split = "validation" if workload.test is None else "test"
        return Facts(
            examples=len(workload.train),
            checksum=checksum(workload.train, targets=self._spec.search.labels == "known"),
            num_classes=classes,
            classes=names,
            metric=f"{split}/{workload.metric_name}",
            members=given(own) if own and not self._trains_only else (),
            gpus=torch.cuda.device_count() if self._device.type == "cuda" else 0,
            features=self._features(),
            targets=self._workload.kind,
            scoring_bytes=self._scoring_bytes(classes),
            fingerprint=self._loaded.identity.fingerprint,
            random_items=self._loaded.identity.random_items,
        )

    def _scoring_bytes(self, classes: int) -> int:
        model, inputs = self._fresh()
        own, training = self._spec.members, self._spec.training
        members = training.runs * len(training.checkpoint_shares) if training and not own else MEMBERS_AT_ONCE
        shard = largest_shard(len(self._workload.train))
        return scoring_bytes(model, inputs, members=members, shard=shard, classes=classes)

    def _features(self) -> int | None:
        """The width of the features, where a method asks for them."""
        if self._trains_only or not any(m.select.takes_features for m in self._spec.methods):
            return None
        model, inputs = self._fresh()
        return last_layer(model, inputs).in_features

    def _fresh(self) -> tuple[nn.Module, Tensor]:
        """An untrained member, and one example."""
        inputs, _ = self._loaded.seen.fetch(torch.zeros(1, dtype=torch.int64))
        return self._untrained(self._build_member).eval(), inputs

    def _untrained(self, build: Callable[[], nn.Module]) -> nn.Module:
        with random.torch_stream(self._spec.seed, "subset search", "inspection"):
            model = build()
        if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            where = self._spec.members.build if self._spec.members else self._spec.workload.name
            raise InputError("build must return a torch module", where=where or "", got=type(model).__name__)
        return model.to(self._device)

    def _num_classes(self) -> int:
        model, inputs = self._fresh()
        with torch.inference_mode():
            shape = tuple(model(inputs).shape)
        if self._workload.kind == "tokens" or self._workload.outputs is None or len(shape) != 2:
            raise InputError(
                "a subset search needs a classifier: one class, or yes or no to each class, for each example",
                where=self._spec.workload.name,
                got=f"targets that are {self._workload.kind}, and outputs {shape}",
                fix="Let the model return [batch, classes]. Tokens and numbers cannot be searched yet.",
            )
        return shape[1]

    def _labels(self, indices: Int64[np.ndarray, " asked"]) -> Int64[np.ndarray, " asked"]:
        parts = [self._workload.train.fetch(torch.from_numpy(part))[1].cpu() for part in _pieces(indices)]
        return torch.cat(parts).numpy() if parts else np.empty(0, dtype=np.int64)

    def _run(self, job: RunJob) -> dict[str, Any]:
        began = time.perf_counter()
        with random.torch_stream(self._spec.seed, *job.stream, "initialisation"):
            model = self._workload.build_model().to(self._device)
        if job.start is not None:
            model.load_state_dict(read_checkpoint(job.start, sha256=job.start_sha256))
        last, kept = self._train(job, model)
        metrics = self._loaded.measure(model)
        record = RunRecord(
            key=job.folder.name,
            examples_trained=last.examples_backpropagated,
            metrics=metrics,
            seconds=time.perf_counter() - began,
            weights=kept,
        )
        write_run(job.folder, record)
        return record.model_dump()

    def _train(self, job: RunJob, model: nn.Module) -> tuple[Measurement, dict[str, str]]:
        """The last measurement, and step -> SHA-256 of the weights that were kept."""
        training = self._spec.training
        assert training is not None
        labels = None if job.labels is None else torch.from_numpy(job.labels)
        part = Part(self._workload.training_data, torch.from_numpy(job.indices).to(self._device), labels)
        measurements = train(
            model=model,
            data=part,
            loss=self._workload.training_loss,
            batches=self._batches(job, training.batch_size),
            recipe=Recipe(
                optimizer=training.optimizer,
                schedule=training.schedule,
                **training.hyperparameters,  # pyright: ignore[reportArgumentType]
            ),
            budget_steps=job.steps,
            evaluation_steps=sorted({0, *job.checkpoints, job.steps}),
            evaluate=lambda _: {},
            microbatch=training.microbatch,
            stream=TorchStream(
                self._spec.seed,
                *job.stream,
                "training",
                device=self._device,
                host=self._loaded.identity.draws,
            ),
        )
        last, kept = next(measurements), {}
        for last in measurements:
            if not math.isfinite(last.metrics["train/loss"]):
                raise InputError(
                    f"a training run diverged before step {last.step} of {job.steps}",
                    where=f"{len(job.indices)} examples, {' '.join(map(str, job.stream))}",
                    fix="Lower training.hyperparameters.learning_rate.",
                )
            if last.step in job.checkpoints:
                kept[str(last.step)] = _save(model, checkpoint_path(job.folder, last.step))
        return last, kept

    def _batches(self, job: RunJob, batch_size: int) -> Iterator[Batch]:
        batches = shuffled_batches(
            len(job.indices), batch_size, seed=self._spec.seed, path=job.stream, device=self._device
        )
        if (job.weights == 1).all():
            return batches
        weights: Tensor = torch.from_numpy(mean_one(job.weights)).to(self._device, torch.float32)
        return weighted(batches, weights)


def _save(model: nn.Module, path: Path) -> str:
    """Keep the weights; the SHA-256 of the file."""
    content = tensors.checkpoint(model.state_dict())
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def _pieces(indices: np.ndarray) -> list[np.ndarray]:
    return [indices[start : start + SCORE_BATCH] for start in range(0, len(indices), SCORE_BATCH)]
