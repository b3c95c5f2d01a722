"""What a worker reports about a search's examples: their labels, and groups of them to be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64

from headrace.store.portrait_records import ExamplesShown
from headrace.trials.jobs import ShowExamples, classes_of
from headrace.trials.shown import Labels, show_examples
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


def examples_shown(workload: Workload, job: ShowExamples, *, hidden: bool) -> dict[str, ExamplesShown]:
    """The examples to be shown of each method.

    Args:
        workload: Shows its examples.
        job: Which examples, in which groups.
        hidden: Whether labels are hidden: then the right ones are not shown either.
    """
    known = None if hidden else workload.clean_targets
    clean, classes = None if known is None else known.cpu(), job.classes

    def words(numbers: Sequence[int] | None) -> str | None:
        there = [classes[number] for number in numbers or () if 0 <= number < len(classes)]
        return None if numbers is None else ", ".join(there) or "none"

    def right(example: int) -> tuple[int, ...] | None:
        return None if clean is None else classes_of(clean[example].numpy(), workload.kind)

    return {
        method: show_examples(
            groups,
            shower(workload),
            Labels(
                given=lambda example: words(job.labels.get(example)),
                predicted=lambda example, method=method: _predicted(job, method, example),
                clean=lambda example: words(right(example)),
            ),
            workload.example_ids,
        )
        for method, groups in job.groups.items()
    }


def _predicted(job: ShowExamples, method: str, example: int) -> str | None:
    """The class that was predicted, in words."""
    number = job.predicted.get(method, {}).get(example)
    return None if number is None else job.classes[number]
