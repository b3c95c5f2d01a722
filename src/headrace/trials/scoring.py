"""Scoring one shard of the pool with every member of an ensemble, resumable by member."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headrace.ensembles import EnsembleStatistics, Member, score_members
from headrace.ensembles.acquisition import FUNCTIONS
from headrace.ensembles.memory import make_plan
from headrace.ensembles.registry import ACQUISITIONS
from headrace.files import remove
from headrace.sealed import write_table
from headrace.store.tables import of
from headrace.subsets.view import Part
from headrace.training.data import ExampleData
from headrace.trials.jobs import ScoreJob

MEMBERS_AT_ONCE = 16
"""Members between two saves of a shard's statistics; part of what makes a resumed sum the same to the bit."""
SCORE_BATCH = 1_024
MEMORY_BYTES = 1 << 30
"""For members and activations: fixed, so that no free memory changes how predictions are grouped."""


def scoring_bytes(model: nn.Module, example: Tensor, *, members: int, shard: int, classes: int) -> int:
    """At most what a scoring holds beside the data: members, activations, and the sums of one shard.

    Args:
        model: One of the members.
        example: A batch of one input, on the model's device.
        members: How many there are.
        shard: Examples in the largest shard.
        classes: Columns of the output.
    """
    plan = make_plan(model, example, min(members, MEMBERS_AT_ONCE), SCORE_BATCH, MEMORY_BYTES)
    # float64 sums of probabilities, votes of at most 4 bytes, and six numbers an example.
    return plan.estimated_bytes + shard * (classes * (8 + 4) + 6 * 8)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What a worker brings to a scoring.

    Attributes:
        data: The training set.
        build: Builds a member's model.
        classes: Columns of its output.
        device: Where it runs.
        labelled: Whether the targets may be looked at.
        multilabel: Whether every class is a yes or no of its own.
    """

    data: ExampleData
    build: Callable[[], nn.Module]
    classes: int
    device: torch.device
    labelled: bool
    multilabel: bool

    def score(self, job: ScoreJob) -> None:
        """Score, and leave the result in a whole file."""
        began = time.perf_counter()
        statistics = self._statistics(job)
        columns = {name: FUNCTIONS[name](statistics) for name in self._names()}
        if not self.multilabel:
            favourites = [mean.argmax(1).cpu().numpy() for _, mean in statistics.mean_blocks()]
            columns["predicted"] = np.concatenate(favourites)
        write_table(job.path, columns, {"seconds": str(time.perf_counter() - began), "of": of(job.path)})
        remove(_unfinished(job))

    def _names(self) -> list[str]:
        return [
            name
            for name, entry in ACQUISITIONS.items()
            if (self.labelled or not entry.needs_labels) and (not self.multilabel or entry.multilabel)
        ]

    def _statistics(self, job: ScoreJob) -> EnsembleStatistics:
        """The sums of all members, saved after each group of them."""
        statistics = self._begun(job)
        shard = Part(self.data, torch.arange(job.start, job.stop, device=self.device))
        members = [
            Member(name=name, checkpoint=path, build=self.build, sha256=sha256)
            for name, path, sha256 in job.members
        ]
        groups = [members[i : i + MEMBERS_AT_ONCE] for i in range(0, len(members), MEMBERS_AT_ONCE)]
        for number, group in enumerate(groups, start=1):
            if not any(statistics.missing(member.name) for member in group):
                continue
            score_members(
                group,
                shard,
                statistics,
                labelled=self.labelled,
                batch_size=SCORE_BATCH,
                device=self.device,
                memory_bytes=MEMORY_BYTES,
            )
            if number < len(groups):
                statistics.save(_unfinished(job))
        return statistics

    def _begun(self, job: ScoreJob) -> EnsembleStatistics:
        """The statistics of an interrupted scoring, or empty ones."""
        if _unfinished(job).is_file():
            return EnsembleStatistics.load(_unfinished(job))
        return EnsembleStatistics(
            job.stop - job.start, self.classes, multilabel=self.multilabel, precision="float64"
        )


def _unfinished(job: ScoreJob) -> Path:
    return job.path.with_suffix(".safetensors")
