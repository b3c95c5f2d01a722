"""`workload.json` of a search's folder: on which workloads its runs were made, and accepted changes of them.

The keys of runs, scorings and choices hold the digest of the fingerprint, so nothing that was made on another
workload is ever taken. Work from before an accepted change, or of a version that kept no fingerprints, is
found under the digest of that time. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from headrace.records import Record
from headrace.sealed import read_record, write_record
from headrace.store.changes import accepted, check_needed
from headrace.store.facts import Change
from headrace.workloads.fingerprint import Fingerprint

FILE = "workload.json"
OWN = ""
"""The name of the searched workload; others are called by their transfer."""


class Origin(Record):
    """One workload of a search.

    Attributes:
        fingerprint: What it is.
        changes: Of it, in their order.
    """

    fingerprint: Fingerprint
    changes: tuple[Change, ...] = ()

    @property
    def digests(self) -> tuple[str | None, ...]:
        """That of the fingerprint, then those of before, the newest first; None for keys without one."""
        before = [change.before for change in reversed(self.changes)]
        return tuple(dict.fromkeys((self.fingerprint.digest, *before)))


class Origins(Record):
    """All workloads of a search, by the name of the transfer."""

    format: Literal[1] = 1
    workloads: dict[str, Origin]


def settle_origins(
    directory: Path, loaded: Mapping[str, Fingerprint], *, why: str | None = None
) -> dict[str, Origin]:
    """The folder's workloads, kept there; refused if they have changed and no reason is given.

    Args:
        directory: The search's folder.
        loaded: Those that are loaded now.
        why: The user's reason to accept a change.

    Raises:
        InputError: A workload has changed and no reason was given, or there is a reason and no change.
        DamagedError: The file was altered.
    """
    there = read_origins(directory)
    older = not there and (directory / "runs").is_dir()
    found = {
        name: _settled(there.get(name), fingerprint, str(directory), older=older, why=why)
        for name, fingerprint in loaded.items()
    }
    check_needed(why, [change for origin in found.values() for change in origin.changes])
    kept = there | found
    if kept != there:
        write_record(directory / FILE, Origins(workloads=kept), indent=2)
    return found


def read_origins(directory: Path) -> dict[str, Origin]:
    """What the folder holds; empty in one of an older version.

    Raises:
        DamagedError: The file was altered.
    """
    fix = "Put back the file as it was, or give another folder with --out."
    found = read_record(directory / FILE, Origins, fix=fix)
    return {} if found is None else found.workloads


def _settled(there: Origin | None, now: Fingerprint, where: str, *, older: bool, why: str | None) -> Origin:
    if there is None:
        return Origin(fingerprint=now, changes=(Change(after=now.digest),) if older else ())
    # What is searched for does not depend on the goal.
    now = now.model_copy(update={"goal": there.fingerprint.goal})
    what = there.fingerprint.differences(now)
    if not what:
        return there
    change = accepted(what, before=there.fingerprint.digest, after=now.digest, where=where, why=why)
    return Origin(fingerprint=now, changes=(*there.changes, change))
