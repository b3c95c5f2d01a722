"""The bench of a search: what a worker keeps between jobs, and what it brings to each of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn

from headrace import random
from headrace.engines._base import Place
from headrace.ensembles.features import last_layer
from headrace.errors import HeadraceError, InputError
from headrace.ids import Ids
from headrace.specs.search import SubsetSearch
from headrace.store.members import given
from headrace.store.portrait_records import ExamplesShown
from headrace.store.search_facts import Facts
from headrace.subsets.view import checksum
from headrace.trials.bench import pick_device
from headrace.trials.jobs import (
    MEMBERS_AT_ONCE,
    Choice,
    Pick,
    Run,
    Score,
    Scores,
    ShowExamples,
    Sums,
    Trained,
    largest_shard,
)
from headrace.trials.loading import Loaded, load
from headrace.trials.picking import Picker
from headrace.trials.scoring import MEMORY_BYTES, Scorer, scoring_bytes
from headrace.trials.search_run import Trainer
from headrace.trials.showing import clean_targets, examples_shown, targets
from headrace.workloads import Workload
from headrace.workloads.fingerprint import Fingerprint
from headrace.workloads.registry import describe, find_function


class SearchBench:
    """A workload of a search on its device; loaded with the first job.

    Args:
        spec: The search.
        place: Where the worker is; GPUs are shared out in turn.
        trains_only: Whether models are trained and nothing is chosen by them.
    """

    def __init__(self, spec: SubsetSearch, place: Place, *, trains_only: bool = False) -> None:
        self._spec = spec
        self._place = place
        self._trains_only = trains_only
        self._others: dict[int, SearchBench] = {}

    @contextmanager
    def working(self, doing: str) -> Generator[None]:
        """The circumstances of a job: one thread, and errors of the user's code are reported as such.

        Raises:
            InputError: With what was done, if the user's model, loss, metric or data raise something.
        """
        threads = torch.get_num_threads()
        # More threads would round differently from worker to worker.
        torch.set_num_threads(1)
        try:
            yield
        except HeadraceError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{doing} raised {describe(error)}",
                where=self._spec.workload.name,
                fix="Fix the model, the loss, the metric or the data.",
            ) from error
        finally:
            torch.set_num_threads(threads)

    def of(self, transfer: int | None) -> SearchBench:
        """The bench of one of the search's workloads; None for its own."""
        if transfer is None:
            return self
        if transfer not in self._others:
            spec = self._spec.transferred(transfer)
            self._others[transfer] = SearchBench(spec, self._place, trains_only=True)
        return self._others[transfer]

    def check(self, expected: Fingerprint | None) -> None:
        """Refuse another workload than this one.

        Raises:
            InputError: Another was loaded.
        """
        self._loaded.check(expected)

    def names(self) -> Ids | None:
        """The ids of the training examples, if they have some."""
        return self._workload.example_ids

    def labels(self, indices: Int64[np.ndarray, " asked"], *, right: bool) -> np.ndarray | None:
        """The labels of training examples, as given or right; None where these are not known."""
        return clean_targets(self._workload, indices) if right else targets(self._workload, indices)

    def run(self, job: Run) -> Trained:
        """Train a model."""
        training = self._spec.training
        assert training is not None
        return Trainer(
            loaded=self._loaded,
            training=training,
            seed=self._spec.seed,
            device=self._device,
            place=self._place,
        ).run(job)

    def score(self, job: Score) -> Sums | Scores:
        """Score a shard."""
        return self._scorer.score(job)

    def pick(self, job: Pick) -> Choice:
        """Choose by models."""
        return self._picker.pick(job)

    def show_examples(self, job: ShowExamples) -> dict[str, ExamplesShown]:
        """Show examples."""
        return examples_shown(self._workload, job, hidden=self._spec.search.labels == "hidden")

    @cached_property
    def _device(self) -> torch.device:
        return pick_device(
            self._spec.training.device if self._spec.training else "auto", self._place.local_rank
        )

    @cached_property
    def _loaded(self) -> Loaded:
        trains, build = self._spec.training is not None, self._own_build

        def untrained(workload: Workload) -> nn.Module:
            return self._untrained(workload.build_model if trains else self._member_of(workload))

        return load(
            self._spec.workload,
            self._device,
            untrained,
            # What is searched for does not depend on the goal.
            goal=None,
            hidden=self._spec.search.labels != "known",
            trains=trains,
            modules=() if build is None else (build.partition(":")[0],),
        )

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
            place=self._place,
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
            place=self._place,
            build=self._build_member,
            device=self._device,
            seed=self._spec.seed,
            memory_bytes=MEMORY_BYTES,
        )

    def inspect(self) -> Facts:
        """Facts about the workload."""
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

    def _fresh(self) -> tuple[nn.Module, Any]:
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
