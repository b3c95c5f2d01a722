"""Hanging a search's galleries, in a worker process: where the examples are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from headrace.experiments.portraits.gallery import Labels, hang
from headrace.experiments.portraits.records import Gallery
from headrace.experiments.subsets.chosen import HangJob
from headrace.workloads import Workload
from headrace.workloads.showing import shower


def clean_targets(
    workload: Workload, indices: Int64[np.ndarray, " asked"]
) -> Int64[np.ndarray, " asked"] | None:
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
    clean, classes = None if hidden else workload.clean_targets, job.classes

    def word(number: int | None) -> str | None:
        return None if number is None or not 0 <= number < len(classes) else classes[number]

    return {
        group: hang(
            walls,
            shower(workload),
            Labels(
                given=lambda example: word(job.labels.get(example)),
                predicted=lambda example, group=group: word(job.predicted.get(group, {}).get(example)),
                clean=lambda example: None if clean is None else word(int(clean[example])),
            ),
        )
        for group, walls in job.walls.items()
    }
