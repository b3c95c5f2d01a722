"""Scoring one shard of the pool with the members of an ensemble, some at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from headrace.engines._base import Place
from headrace.ensembles import EnsembleStatistics, Member, score_members
from headrace.ensembles.acquisition import FUNCTIONS
from headrace.ensembles.memory import make_plan
from headrace.ensembles.registry import ACQUISITIONS
from headrace.store.members import Voters
from headrace.subsets.view import Part
from headrace.training.data import ExampleData
from headrace.trials import jobs
from headrace.trials.jobs import Score, Scores, Sums

SCORE_BATCH = 1_024
MEMORY_BYTES = 1 << 30
"""For members and activations: fixed, so that no free memory changes how predictions are grouped."""


def scoring_bytes(model: nn.Module, example: Tensor, *, members: int, shard: int, classes: int) -> int:
    """At most what a scoring holds in addition to the data: members, activations, and the sums of one shard.

    Args:
        model: One of the members.
        example: A batch of one input, on the model's device.
        members: How many there are.
        shard: Examples in the largest shard.
        classes: Columns of the output.
    """
    plan = make_plan(model, example, min(members, jobs.MEMBERS_AT_ONCE), SCORE_BATCH, MEMORY_BYTES)
    # float64 sums of probabilities, votes of at most 4 bytes, and six numbers an example.
    return plan.estimated_bytes + shard * (classes * (8 + 4) + 6 * 8)


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """What a worker brings to a scoring.

    Attributes:
        data: The training set.
        place: Where the worker reads files.
        build: Builds a member's model.
        classes: Columns of its output.
        device: Where it runs.
        labelled: Whether the targets may be looked at.
        multilabel: Whether every class is a yes or no of its own.
    """

    data: ExampleData
    place: Place
    build: Callable[[], nn.Module]
    classes: int
    device: torch.device
    labelled: bool
    multilabel: bool

    def score(self, job: Score) -> Sums | Scores:
        """Let the next members score; the scores once no member is missing, else the sums so far."""
        began = time.perf_counter()
        statistics, members = self._begun(job), voting(job.members, self.place, self.build)
        coming = [group for group in _groups(members) if any(statistics.missing(one.name) for one in group)]
        if coming:
            score_members(
                coming[0],
                Part(self.data, torch.arange(job.start, job.stop, device=self.device)),
                statistics,
                labelled=self.labelled,
                batch_size=SCORE_BATCH,
                device=self.device,
                memory_bytes=MEMORY_BYTES,
            )
        if len(coming) > 1:
            return Sums(content=statistics.content(), seconds=time.perf_counter() - began)
        columns = {name: FUNCTIONS[name](statistics) for name in self._names()}
        if not self.multilabel:
            favourites = [mean.argmax(1).cpu().numpy() for _, mean in statistics.mean_blocks()]
            columns["predicted"] = np.concatenate(favourites)
        return Scores(columns=columns, seconds=time.perf_counter() - began)

    def _names(self) -> list[str]:
        return [
            name
            for name, entry in ACQUISITIONS.items()
            if (self.labelled or not entry.needs_labels) and (not self.multilabel or entry.multilabel)
        ]

    def _begun(self, job: Score) -> EnsembleStatistics:
        """The sums of the members before, or empty ones."""
        if job.before is not None:
            return EnsembleStatistics.load(self.place.fetch(job.before))
        return EnsembleStatistics(
            job.stop - job.start, self.classes, multilabel=self.multilabel, precision="float64"
        )


def voting(voters: Voters, place: Place, build: Callable[[], nn.Module]) -> list[Member]:
    """The members, as the ensembles take them.

    Args:
        voters: Which they are.
        place: Where the worker reads their files.
        build: Builds a member's model.
    """
    return [
        Member(name=one.name, checkpoint=place.fetch(one.file), build=build, sha256=one.sha256)
        for one in voters
    ]


def _groups(members: list[Member]) -> list[list[Member]]:
    size = jobs.MEMBERS_AT_ONCE
    return [members[start : start + size] for start in range(0, len(members), size)]
