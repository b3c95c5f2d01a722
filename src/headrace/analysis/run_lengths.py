"""How many steps the next run takes: by its curve's tuned surface, else the fewest that its search found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from headrace import random
from headrace.analysis.recommendation import Basis
from headrace.analysis.steps_to_result import draws
from headrace.analysis.studies import Curve, Study
from headrace.analysis.surface import Surface
from headrace.analysis.tuned import next_runs
from headrace.specs.studies import Hyperparameters


@dataclass(frozen=True, kw_only=True)
class RunLength:
    """The steps of one study's next run.

    Attributes:
        basis: "surface": the mean over seeds, at `hyperparameters`. "search": the fewest of the study's runs.
        steps: The estimate.
        draws: Values that it might have; infinite where the goal would not have been reached.
        hyperparameters: Those that were tuned, at their recommended values; of the best trial for "search".
    """

    basis: Basis
    steps: float
    draws: Float[np.ndarray, " draws"]
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)


def run_lengths(
    studies: Sequence[Study], surfaces: Mapping[Curve, Surface | None], *, count: int, seed: int
) -> dict[str, RunLength]:
    """The run length of every study that reached the goal.

    All are of one basis, so that they can be compared: surfaces if each curve has one.

    Args:
        studies: All studies of an experiment.
        surfaces: Curve -> its surface; None where the trials show none.
        count: How many draws.
        seed: The experiment's seed.

    Returns:
        The study's name -> its run length.
    """
    reached = [study for study in studies if study.result.steps]
    found = {curve: surfaces.get(curve) for curve in dict.fromkeys(study.curve for study in reached)}
    by_curve = {curve: surface for curve, surface in found.items() if surface is not None}
    if len(by_curve) < len(found):
        return {study.key.name: _searched(study, count, seed) for study in reached}
    lengths: dict[str, RunLength] = {}
    for curve, surface in by_curve.items():
        members = [study for study in studies if study.curve == curve]
        rng = random.generator(seed, "recommendation", "surface", *map(str, curve))
        runs = next_runs(members, surface, count, rng)
        lengths |= {
            study.key.name: RunLength(
                basis="surface", steps=run.steps, draws=run.draws, hyperparameters=run.hyperparameters
            )
            for study in members
            if study.result.steps and (run := runs.get(study.batch_size)) is not None
        }
    return lengths


def _searched(study: Study, count: int, seed: int) -> RunLength:
    """The draws of a study's steps are the same for every number of workers."""
    best = study.best or {}
    return RunLength(
        basis="search",
        steps=float(study.result.steps or 0),
        draws=draws(study.result, count, random.generator(seed, "recommendation", "steps", study.key.name)),
        hyperparameters={name: best[name] for name in study.tuned if name in best},
    )
