"""Hanging a search's galleries, in a worker process: where the examples are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from headrace.store.portrait_records import Gallery
from headrace.trials.gallery import Labels, hang
from headrace.trials.jobs import HangJob, classes_of
from headrace.workloads import Workload
from headrace.workloads.showing import shower


def clean_targets(workload: Workload, indices: Int64[np.ndarray, " asked"]) -> np.ndarray | None:
    """The right labels of some training examples, where they are known."""
    clean = workload.clean_targets
    return None if clean is None else clean.cpu().numpy()[indices]


def galleries(workload: Workload, job: HangJob, *, hidden: bool) -> dict[str, Gallery]:
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


def _predicted(job: HangJob, group: str, example: int) -> str | None:
    """The class that was predicted, in words."""
    number = job.predicted.get(group, {}).get(example)
    return None if number is None else job.classes[number]
