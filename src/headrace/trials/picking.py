"""Choosing with the models at hand: by features, by the last layer's gradients, by joint information."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import nn

from headrace import random, selection
from headrace.arrays import on_host
from headrace.engines._base import Place
from headrace.ensembles import predict_members
from headrace.ensembles.features import embed
from headrace.specs.methods import shortlisted
from headrace.subsets.view import Part
from headrace.training.data import ExampleData
from headrace.trials.jobs import Choice, Pick
from headrace.trials.scoring import voting

BATCH = 1_024


@dataclass(frozen=True, kw_only=True)
class Picker:
    """What a worker brings to a choice.

    Attributes:
        data: The training set.
        place: Where the worker reads files.
        build: Builds a member's model.
        device: Where it runs.
        seed: The search's seed.
        memory_bytes: What members and activations may take.
    """

    data: ExampleData
    place: Place
    build: Callable[[], nn.Module]
    device: torch.device
    seed: int
    memory_bytes: int

    def pick(self, job: Pick) -> Choice:
        """Choose."""
        began = time.perf_counter()
        indices, scored = self._by_members(job) if job.select.takes_members else self._by_last(job)
        return Choice(indices=indices, scored=scored, seconds=time.perf_counter() - began)

    def _by_last(self, job: Pick) -> tuple[Int64[np.ndarray, " count"], int]:
        """By the features of the last member; what is chosen, and how many examples went forward."""
        model = voting(job.members[-1:], self.place, self.build)[0].load(self.device)
        found = embed(model, self.data, batch_size=BATCH, device=self.device)
        chosen = job.select.strategy.choose(
            {"scores": job.scores, "features": found.features, "probabilities": found.probabilities},
            job.count,
            random.generator(self.seed, *job.stream),
            initial=job.chosen,
            candidates=job.candidates,
            settings=job.select.settings,
        )
        return chosen, len(self.data)

    def _by_members(self, job: Pick) -> tuple[Int64[np.ndarray, " count"], int]:
        """Among the candidates with the highest mutual information, by all members."""
        most = shortlisted(job.select, job.count, len(job.candidates))
        shortlist = np.sort(selection.top_k(job.scores, most, candidates=job.candidates))
        part = Part(self.data, torch.from_numpy(shortlist).to(self.device))
        members = voting(job.members, self.place, self.build)
        predictions = list(
            predict_members(
                members, part, batch_size=BATCH, device=self.device, memory_bytes=self.memory_bytes
            )
        )
        rows = {one.name: number for number, one in enumerate(job.members)}
        together = np.empty((len(members), most, predictions[0].probabilities.shape[-1]))
        for piece in predictions:
            where = slice(piece.start, piece.start + piece.probabilities.shape[1])
            together[[rows[name] for name in piece.members], where] = on_host(piece.probabilities)
        places = job.select.strategy.choose(
            {"member_probabilities": together},
            job.count,
            random.generator(self.seed, *job.stream),
            settings=job.select.settings,
        )
        return shortlist[places], len(members) * most
