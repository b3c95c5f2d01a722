"""Whether a folder's trials were trained on the workload that is loaded now, and what was decided if not."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headrace.errors import InputError
from headrace.store.facts import Change, WorkloadFacts
from headrace.workloads.fingerprint import Fingerprint

_COSMETIC = ("name", "description", "classes")
"""What no result depends on: of a folder with a fingerprint the newest is kept."""
_ORIGIN = ("experiment", "fingerprint", "changes", "random_items", "workers_alike", "parameters", "packs")
_BINDING = ("goal", "metric_name", "train_examples")
"""Trials before and after a change of these, or of a subset, could not be judged together."""
_NEW = "Undo the change, or give another folder with --out"
_FIX = (
    f'{_NEW}. To continue here, with trials from before and after the change: --accept-change "WHY"; the '
    "report then says so"
)
_RANDOM = "If nothing was changed, the workload's function draws its data without a seed: give it one."
_LOST = "workload.json was missing, and trials carry the fingerprint of another workload"


def settle(
    there: WorkloadFacts | None,
    now: WorkloadFacts,
    carried: Collection[str | None],
    *,
    where: str,
    finished: bool = False,
    why: str | None = None,
) -> WorkloadFacts:
    """The facts to keep in a folder.

    Args:
        there: Those it holds.
        now: Those of the workload that is loaded.
        carried: The fingerprints' digests in the records of its trials; None for a record without one.
        where: The folder.
        finished: Whether nothing is left to train; then versions of headrace and torch do not count.
        why: The user's reason to accept a change.

    Raises:
        InputError: The workload has changed and no reason was given, or it cannot be accepted; or there is a
            reason and no change.
    """
    if there is not None and not carried and there.experiment not in (None, now.experiment):
        # Left by an experiment that trained nothing.
        there = None
    before = None if there is None else there.fingerprint
    what = [] if there is None else differences(there, now, versions=not finished)
    changes = () if there is None else there.changes
    if what:
        binding = there is not None and (
            any(getattr(there, key) != getattr(now, key) for key in _BINDING) or _other_subsets(there, now)
        )
        old = None if there is None else there.digest
        new = now.digest or ""
        changes = (*changes, accepted(what, before=old, after=new, where=where, why=why, binding=binding))
    if before is None:
        changes = (*changes, *_unknown(now, carried, where=where, why=why))
    check_needed(why, changes)
    if there is not None:
        # Trials are those of the number that were trained as one: the folder's stays, on any machine.
        now = now.model_copy(update={"packs": now.packs | there.packs})
    if there is None or before is None or what:
        return now.model_copy(update={"changes": changes})
    kept = {key: getattr(now, key) for key in (*_COSMETIC, "packs")}
    return there.model_copy(update=kept | {"subsets": there.subsets | now.subsets})


def differences(there: WorkloadFacts, now: WorkloadFacts, *, versions: bool = True) -> list[str]:
    """What is different in another workload, in words; empty if it is the same.

    Args:
        there: The facts of one.
        now: Those of the other.
        versions: Whether versions of headrace and torch count.
    """
    if there.fingerprint is None or now.fingerprint is None:
        compared = (key for key, _ in now if key not in (*_ORIGIN, "subsets"))
        found = [key for key in compared if getattr(there, key) != getattr(now, key)]
        return [*found, *(["subsets"] if _other_subsets(there, now) else [])]
    found = there.fingerprint.differences(now.fingerprint, versions=versions)
    return [*found, *(["the subsets' files"] if _other_subsets(there, now) else [])]


def _other_subsets(there: WorkloadFacts, now: WorkloadFacts) -> bool:
    """Whether a subset is another one; an extended experiment may have more of them."""
    return any(now.subsets.get(name) != part for name, part in there.subsets.items())


def accepted(
    what: Sequence[str],
    *,
    before: str | None,
    after: str,
    where: str,
    why: str | None,
    binding: bool = False,
) -> Change:
    """A change of a folder's workload, as it is recorded if the user accepts it.

    Args:
        what: What changed.
        before: The digest of the folder's fingerprint.
        after: That of the loaded workload.
        where: The folder.
        why: The user's reason, or None.
        binding: Whether it cannot be accepted.

    Raises:
        InputError: It is not accepted.
    """
    if why is None or binding:
        raise InputError(
            f"the workload has changed since this folder was made: {'; '.join(what)}",
            where=where,
            fix=f"{_NEW}." if binding else f"{_FIX}.",
        )
    return Change(why=why, what=tuple(what), before=before, after=after)


def check_needed(why: str | None, changes: Sequence[Change]) -> None:
    """Refuse a reason to accept a change if there is none; the same command may be given again.

    Raises:
        InputError: No change has this reason.
    """
    if why is not None and why not in {change.why for change in changes}:
        raise InputError(
            "has no effect: the workload is the same as before",
            where="--accept-change",
            got=why,
            fix="Leave it out.",
        )


def _unknown(
    now: WorkloadFacts, carried: Collection[str | None], *, where: str, why: str | None
) -> list[Change]:
    """Trials that carry other fingerprints, or none, in a folder that holds no fingerprint itself."""
    others = sorted(digest for digest in carried if digest not in (None, now.digest))
    if others and why is None:
        raise InputError(_LOST, where=where, fix=f"{_FIX}.")
    found = [Change(why=why or "", what=(_LOST,), before=digest, after=now.digest or "") for digest in others]
    # Users are not asked about trials of older versions, because they could not answer. The report says so.
    return [*found, *([Change(after=now.digest or "")] if None in carried else [])]


def check_reason(why: str | None) -> None:
    """Refuse a reason that says nothing.

    Raises:
        InputError: It is empty.
    """
    if why is not None and not why.strip():
        raise InputError(
            "must be a reason, in words", where="--accept-change", got=why, fix="It is shown in the report."
        )


def check_loaded(expected: Fingerprint, loaded: Fingerprint, where: str, *, versions: bool = True) -> None:
    """Refuse to use another workload than the folder's, such as code that was edited during or after the run.

    Args:
        expected: The folder's.
        loaded: That of the workload which this process has loaded.
        where: What the workload is called.
        versions: Whether versions of headrace and torch count.

    Raises:
        InputError: The fingerprints differ.
    """
    found = expected.differences(loaded, versions=versions)
    if found:
        raise InputError(
            f"this process has loaded another workload than the one of this run: {'; '.join(found)}",
            where=where,
            fix=f"Undo the change and run again: what was stored before is kept. {_RANDOM}",
        )
