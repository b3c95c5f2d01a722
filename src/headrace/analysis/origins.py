"""On which workload a folder's trials were trained, in sentences: changes, and what cannot be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from headrace.analysis import words

if TYPE_CHECKING:
    from headrace.store.facts import Change, WorkloadFacts
    from headrace.store.outcome import Outcome


def warn_of_changes(facts: WorkloadFacts | None, carried: Collection[str | None]) -> list[str]:
    """What a reader must know of the trials' workload; empty if all trained on the very same.

    Args:
        facts: The folder's; None if nothing was run yet.
        carried: For each trial the digest of its workload's fingerprint, or None.
    """
    if facts is None:
        return []
    counts, trials = Counter(carried), words.number(len(carried))
    found = [
        _sentence(change, f"{words.number(counts[change.before])} of {trials} trials were trained")
        for change in facts.changes
    ]
    return [*found, *([_AUGMENTED] if facts.random_items else [])]


def warn_of_search(outcome: Outcome) -> list[str]:
    """The same of a subset search, whose work from before a change is used again."""
    trained = f"{words.number(outcome.earlier)} of the runs used here were trained"
    found = [_sentence(change, trained) for change in outcome.changes if outcome.earlier]
    return [*found, *([_AUGMENTED] if outcome.facts.random_items else [])]


def _sentence(change: Change, trained: str) -> str:
    if change.why:
        return (
            f"{trained} before the workload was changed ({'; '.join(change.what)}). The change was accepted "
            f'because: "{change.why}".'
        )
    return (
        f"{trained} by a version of Headrace that kept no fingerprints: whether their code and data were "
        "those of the others cannot be checked."
    )


_AUGMENTED = (
    "The training examples differ from fetch to fetch, so models also score and evaluate augmented ones: an "
    "augmentation for training alone is given as Workload(train_transform=...)."
)
