"""Which trials raised an error, and what each error says, for the user who must fix it."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.store.records import TrialRecord

_MOST = 5


def failure_lines(records: Iterable[TrialRecord]) -> list[str]:
    """One line for each kind of error: how many trials of which studies it hit, and what it says.

    Args:
        records: Trials of any studies.

    Returns:
        The most frequent kinds first; empty if no trial failed.
    """
    kinds: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.failed:
            kinds.setdefault(record.error or "unknown error", []).append(record)
    ordered = sorted(kinds.items(), key=lambda kind: -len(kind[1]))
    lines = [f"{_places(failed)}: {error}" for error, failed in ordered[:_MOST]]
    return lines + ([f"and {len(ordered) - _MOST} other errors"] if len(ordered) > _MOST else [])


def _places(failed: list[TrialRecord]) -> str:
    first, studies = failed[0], len({record.study for record in failed})
    place = f"{first.study}, trial {first.trial}"
    if len(failed) == 1:
        return place
    within = "" if studies == 1 else f" in {studies} studies"
    return f"{len(failed)} trials{within}, first {place}"
