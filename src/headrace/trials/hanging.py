"""What a worker tells of a search's examples: their labels, and galleries of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64

from headrace.store.portrait_records import Gallery
from headrace.trials.gallery import Labels, hang
from headrace.trials.jobs import Hang, classes_of
from headrace.workloads import Workload
from headrace.workloads.showing import shower

TARGETS_AT_ONCE = 1_024


def targets(workload: Workload, indices: Int64[np.ndarray, " asked"]) -> np.ndarray:
    """The labels of some training examples, as the data set gives them."""
    pieces = [indices[start : start + TARGETS_AT_ONCE] for start in range(0, len(indices), TARGETS_AT_ONCE)]
    parts = [workload.train.fetch(torch.from_numpy(piece))[1].cpu() for piece in pieces]
    return torch.cat(parts).numpy() if parts else np.empty(0, dtype=np.int64)


def clean_targets(workload: Workload, indices: Int64[np.ndarray, " asked"]) -> np.ndarray | None:
    """The right labels of some training examples, where they are known."""
    clean = workload.clean_targets
    return None if clean is None else clean.cpu().numpy()[indices]


def galleries(workload: Workload, job: Hang, *, hidden: bool) -> dict[str, Gallery]:
    """The gallery of each method.

    Args:
        workload: Shows its examples.
        job: What hangs where.
        hidden: Whether labels are hidden: then the right ones are not told either.
    """
    known = None if hidden else workload.clean_targets
    clean, classes = None if known is None else known.cpu(), job.classes

    def words(numbers: Sequence[int] | None) -> str | None:
        there = [classes[number] for number in numbers or () if 0 <= number < len(classes)]
        return None if numbers is None else ", ".join(there) or "none"

    def right(example: int) -> tuple[int, ...] | None:
        return None if clean is None else classes_of(clean[example].numpy(), workload.kind)

    return {
        group: hang(
            walls,
            shower(workload),
            Labels(
                given=lambda example: words(job.labels.get(example)),
                predicted=lambda example, group=group: _predicted(job, group, example),
                clean=lambda example: words(right(example)),
            ),
            workload.example_ids,
        )
        for group, walls in job.walls.items()
    }


def _predicted(job: Hang, group: str, example: int) -> str | None:
    """The class that was predicted, in words."""
    number = job.predicted.get(group, {}).get(example)
    return None if number is None else job.classes[number]
