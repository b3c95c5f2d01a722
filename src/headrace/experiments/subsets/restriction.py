"""The subsets of an experiment's grid: "full", "random:SHARE", or a subset file; on a loaded workload."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import random
from headrace.errors import InputError
from headrace.experiments.subsets.subset import Subset

if TYPE_CHECKING:
    from torch import Tensor

    from headrace.workloads import Workload


@dataclass(frozen=True, kw_only=True)
class Restricted:
    """A workload whose training set is a part of the whole.

    Attributes:
        workload: The workload; its training examples are counted from 0 within the part.
        weights: Loss weights with mean 1, float32 on the CPU [part], or None where all are 1.
    """

    workload: Workload
    weights: Tensor | None


def check_subset(spec: str) -> None:
    """Check the form of `spec`; opens no file and imports no torch.

    Raises:
        InputError: It is not "full", "random:SHARE" with a share in 0..1, or the path of a Parquet file.
    """
    if spec == "full" or spec.endswith(".parquet"):
        return
    if spec.startswith("random:") and 0 < _share(spec) <= 1:
        return
    raise InputError(
        "there is no such subset",
        where="grid.subset",
        got=spec,
        fix="Use 'full', 'random:0.25', or the path of a subset file (.parquet).",
    )


def subset_of(workload: Workload, spec: str, seed: int) -> Restricted:
    """`workload` with the part of its training set that `spec` names.

    Args:
        workload: Loaded; on any device.
        spec: "full", "random:SHARE" (drawn without replacement, one draw for each seed; a larger share holds
            a smaller one), or the path of a subset file.
        seed: The experiment's seed.

    Raises:
        InputError: Another form, no such file, or a file made for another data set.
    """
    import torch

    from headrace.experiments.subsets.data import Part, mean_one

    check_subset(spec)
    if spec == "full":
        return Restricted(workload=workload, weights=None)
    if spec.startswith("random:"):
        order = random.generator(seed, "random subset").permutation(len(workload.train))
        chosen = torch.from_numpy(order[: max(1, round(_share(spec) * len(order)))]).sort().values
        return Restricted(workload=_with(workload, Part(workload.train, chosen), chosen), weights=None)
    subset = Subset.load(Path(spec))
    subset.check(workload.train)
    chosen = torch.from_numpy(subset.indices.copy())
    labels = None if subset.labels is None else torch.from_numpy(subset.labels.copy())
    weights = torch.from_numpy(mean_one(subset.weights)).to(torch.float32)
    return Restricted(
        workload=_with(workload, Part(workload.train, chosen, labels), chosen),
        weights=None if bool((weights == 1).all()) else weights,
    )


def _with(workload: Workload, train: object, chosen: Tensor) -> Workload:
    clean, show = workload.clean_targets, workload.show
    return replace(
        workload,
        train=train,  # pyright: ignore[reportArgumentType]
        clean_targets=None if clean is None else clean[chosen.to(clean.device)],
        show=None if show is None else lambda index: show(int(chosen[index])),
    )


def _share(spec: str) -> float:
    try:
        return float(spec.removeprefix("random:"))
    except ValueError:
        return -1.0
