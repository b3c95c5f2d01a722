"""The subsets of an experiment's grid: "full", "random:SHARE", or a subset file; on a loaded workload."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import random
from headrace.errors import HeadraceError
from headrace.sealed import sha256
from headrace.specs.studies import FULL
from headrace.specs.subset_names import check_subset, is_random, share
from headrace.store.facts import PartFacts
from headrace.subsets.file import Subset

if TYPE_CHECKING:
    from torch import Tensor

    from headrace.specs.experiment import Experiment
    from headrace.workloads import Workload


@dataclass(frozen=True, kw_only=True)
class Restricted:
    """A workload whose training set is a part of the whole.

    Attributes:
        workload: The workload; its training examples are counted from 0 within the part.
        weights: Loss weights with mean 1, float32 on the CPU [part], or None if all are 1.
        sha256: Of the subset's file as it was read; None if the subset has no file.
    """

    workload: Workload
    weights: Tensor | None
    sha256: str | None = None


def subset_of(workload: Workload, spec: str, seed: int) -> Restricted:
    """`workload` with the part of its training set that `spec` names.

    Args:
        workload: Loaded; on any device.
        spec: "full", "random:SHARE" (drawn without replacement, one draw for each seed; a larger share holds
            a smaller one), or the path of a subset file.
        seed: The experiment's seed.

    Raises:
        InputError: Another form, a file that does not exist, or one made for another data set.
    """
    import torch

    from headrace.subsets.view import Part, mean_one

    check_subset(spec)
    if spec == FULL:
        return Restricted(workload=workload, weights=None)
    part = share(spec) if is_random(spec) else None
    if part is not None:
        order = random.generator(seed, "random subset").permutation(len(workload.train))
        chosen = torch.from_numpy(order[: max(1, round(part * len(order)))]).sort().values
        return Restricted(workload=_with(workload, Part(workload.train, chosen), chosen), weights=None)
    subset = Subset.load(Path(spec))
    subset.check(workload.train, workload.example_ids)
    chosen = torch.from_numpy(subset.indices.copy())
    labels = None if subset.labels is None else torch.from_numpy(subset.labels.copy())
    weights = torch.from_numpy(mean_one(subset.weights)).to(torch.float32)
    return Restricted(
        workload=_with(workload, Part(workload.train, chosen, labels), chosen),
        weights=None if bool((weights == 1).all()) else weights,
        sha256=subset.sha256,
    )


def _with(workload: Workload, train: object, chosen: Tensor) -> Workload:
    clean, ids = workload.clean_targets, workload.example_ids
    places = chosen.cpu().numpy()
    # A part has indices of its own, so its examples are called as in the whole training set.
    return replace(
        workload,
        train=train,  # pyright: ignore[reportArgumentType]
        clean_targets=None if clean is None else clean[chosen.to(clean.device)],
        ids=places if ids is None else ids[places],
    )


def restrict(workload: Workload, experiment: Experiment, name: str) -> Restricted:
    """`workload` with the subset that the grid of `experiment` calls `name`.

    Raises:
        InputError: The file does not exist, or was made for another data set.
        DamagedError: The file was altered.
    """
    return subset_of(workload, experiment.subsets.get(name, name), experiment.seed)


def parts(workload: Workload, experiment: Experiment) -> tuple[dict[str, PartFacts], dict[str, str]]:
    """The facts about the grid's subsets, except the full one, and why others cannot be used.

    Returns:
        Name -> its facts, and name -> the reason.
    """
    facts: dict[str, PartFacts] = {}
    refused: dict[str, str] = {}
    for name in experiment.grid.subset:
        if name == FULL:
            continue
        try:
            found = restrict(workload, experiment, name)
            facts[name] = PartFacts(examples=len(found.workload.train), sha256=found.sha256)
        except HeadraceError as error:
            refused[name] = str(error)
    return facts, refused


def checksum_of(experiment: Experiment, name: str) -> str | None:
    """The SHA-256 of the file of a subset, or None if it has none, or the file is missing."""
    path = Path(experiment.subsets.get(name, name))
    return sha256(path) if path.is_file() else None
