"""Which share of an experiment's studies a folder is for: `share.json`, in the folder of a part alone."""

from __future__ import annotations

from pathlib import Path

from headrace.errors import InputError
from headrace.files import remove
from headrace.sealed import read_record, write_record
from headrace.specs.shares import Share

FILE = "share.json"


def read_share(directory: Path) -> Share | None:
    """The share that a folder is for, or None for a whole experiment.

    Raises:
        DamagedError: The file is truncated or was altered.
    """
    fix = "Put back the file as it was, or run this part again into another folder."
    return read_record(directory / FILE, Share, fix=fix, older=False)


def write_share(directory: Path, share: Share | None) -> None:
    """Say which share a folder is for.

    Raises:
        StorageError: The folder cannot be written.
    """
    if share is None:
        remove(directory / FILE)
    else:
        write_record(directory / FILE, share)


def check_share(directory: Path, share: Share | None) -> None:
    """Check that a folder that was begun is for this share.

    Raises:
        InputError: It is for another share, or for the whole experiment.
    """
    there = read_share(directory)
    if there == share:
        return
    holds = "the whole experiment" if there is None else f"part {there} of the experiment"
    same = "leave --part out" if there is None else f"give --part {there}"
    raise InputError(
        f"holds {holds}",
        where=str(directory),
        got="no --part" if share is None else f"--part {share}",
        fix=f"To resume it, {same}; otherwise choose another folder. `headrace merge` puts parts together.",
    )
