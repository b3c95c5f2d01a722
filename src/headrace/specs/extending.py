"""Whether an experiment extends another: every trial that was drawn stays a trial, and what is new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace.specs.experiment import Experiment
from headrace.specs.space import POLICY
from headrace.specs.studies import StudyKey
from headrace.specs.tables import Before
from headrace.specs.widening import share, why_not_wider

_OTHER_TRIALS = {
    "seed": "every trial was drawn and trained with the random streams of that seed",
    "workload": "every trial was trained on that workload",
    "training": "every trial was trained as it says",
}
"""Table -> why a change of it leaves no trial as it is."""


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What an extended experiment adds to the one that a folder holds.

    Attributes:
        before: The experiment of the folder.
        after: The extended one; where a space was widened, `search.before` holds the narrower one.
        added: Studies that are new.
        widened: Studies whose space is wider -> the share of it that the narrower one has.
    """

    before: Experiment
    after: Experiment
    added: tuple[StudyKey, ...]
    widened: dict[str, float]


def inherit(before: Experiment, after: Experiment) -> Experiment:
    """`after` as it continues `before`: a user's file does not repeat the spaces of before it was widened."""
    if after.search.before or not before.search.before:
        return after
    return _with_spaces(after, before.search.before)


def extend(before: Experiment, after: Experiment) -> Extension | tuple[str, ...]:
    """How `after` extends `before`, or why it does not, a reason for each key."""
    after = inherit(before, after)
    reasons = tuple(_reasons(before, after))
    if reasons:
        return reasons
    old = before.studies()
    widened = {
        study.name: share(before.space_of(study), after.space_of(study))
        for study in old
        if before.space_of(study) != after.space_of(study)
    }
    if widened:
        earlier = Before(trials=before.search.limit, space=before.search.space)
        after = _with_spaces(after, (*after.search.before, earlier))
    names = {study.name for study in old}
    added = tuple(study for study in after.studies() if study.name not in names)
    return Extension(before=before, after=after, added=added, widened=widened)


def differences(there: Experiment, here: Experiment) -> str:
    """The keys in which two experiments differ, with their values; empty if they are the same."""
    before, after = _flat(there.identity()), _flat(here.identity())
    return ", ".join(
        f"{key} (there {before.get(key)!r}, here {after.get(key)!r})"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )


def _flat(table: Mapping[str, object], path: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        name = f"{path}.{key}".removeprefix(".")
        flat |= _flat(value, name) if isinstance(value, dict) else {name: value}
    return flat


def _with_spaces(experiment: Experiment, before: tuple[Before, ...]) -> Experiment:
    search = experiment.search.model_copy(update={"before": before})
    return experiment.model_copy(update={"search": search})


def _reasons(before: Experiment, after: Experiment) -> Iterator[str]:
    old, new = before.identity(), after.identity()
    for table in sorted(old.keys() | new.keys()):
        if table not in ("grid", "search") and old.get(table) != new.get(table):
            yield f"{table}: {_OTHER_TRIALS.get(table, 'every trial depends on it')}"
    there = {study.name for study in after.studies()}
    lost = [study.name for study in before.studies() if study.name not in there]
    if lost:
        more = "" if len(lost) == 1 else f" and {len(lost) - 1} more"
        yield f"grid: studies that the folder holds are missing ({lost[0]}{more})"
    if after.search.trials < before.search.trials:
        yield "search.trials: trials that were asked for would not count any more"
    elif after.search.limit < before.search.limit:
        yield "search.max_trials: trials that were drawn would not count any more"
    if after.search.before != before.search.before:
        yield "search.before: it is how the folder's trials were drawn"
    kept = [study for study in before.studies() if study.name in there]
    found = (reason for study in kept for reason in _other_draws(before, after, study))
    yield from dict.fromkeys(found)


def _other_draws(before: Experiment, after: Experiment, study: StudyKey) -> Iterator[str]:
    """Entries by which a study's trials would be drawn anew."""
    old, new = before.space_of(study), after.space_of(study)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name.startswith(POLICY):
            key = f"search.policy.{study.configuration.policy}.{name.removeprefix(POLICY)}"
            yield f"{key}: policies are tuned alike, and trials of this one alone would be others"
        elif (why := why_not_wider(old.get(name), new.get(name))) is not None:
            yield f"search.space.{name}: {why}"
