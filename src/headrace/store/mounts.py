"""Whether locks on files of a folder hold between machines: by the table of mounts, on Linux."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_SHARED = {"nfs", "nfs4", "lustre", "cifs", "smb3", "ceph", "gpfs", "beegfs", "9p", "afs", "glusterfs"}
"""File systems that several machines may see at the same time."""
_PASSES = {"nfs", "nfs4", "lustre", "ceph", "gpfs"}
"""Those that pass locks between machines unless their options say otherwise, see `unshared_locks`."""
_LOCAL = ("nolock", "local_lock=flock", "local_lock=all", "localflock", "noflock")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A line of the table.

    Attributes:
        place: Where it is mounted.
        kind: The file system.
        options: All its options.
    """

    place: str
    kind: str
    options: frozenset[str]


def unshared_locks(directory: Path) -> str | None:
    """Why a lock here may not be seen by other machines that see the folder; None if it is, or if none does.

    NFS passes locks to its server unless it is mounted with `nolock` or `local_lock`; Lustre does if it is
    mounted with `flock`.
    """
    mount = _mount_of(directory)
    if mount is None or not _is_shared(mount.kind):
        return None
    local = sorted(mount.options & set(_LOCAL))
    lustre_without = mount.kind == "lustre" and "flock" not in mount.options
    if mount.kind in _PASSES and not local and not lustre_without:
        return None
    why = f"mounted with {', '.join(local)}" if local else "which may not pass locks between machines"
    return f"the folder is on {mount.kind} ({mount.place}), {why}"


def _is_shared(kind: str) -> bool:
    return kind in _SHARED or kind.startswith("fuse.")


def _mount_of(directory: Path) -> Mount | None:
    """The mount that holds a folder; None without a table of mounts."""
    path = str(directory.resolve())
    holding = [m for m in _mounts() if m.place in ("/", path) or path.startswith(f"{m.place}/")]
    # Of mounts at one place the last hides the others.
    return max(reversed(holding), key=lambda mount: len(mount.place), default=None)


def _mounts() -> Iterator[Mount]:
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        own, _, rest = line.partition(" - ")
        fields, more = own.split(" "), rest.split(" ")
        if len(fields) > 5 and len(more) > 2:
            options = frozenset((fields[5] + "," + more[2]).split(","))
            yield Mount(place=_plain(fields[4]), kind=more[0], options=options)


def _plain(place: str) -> str:
    """The table writes blanks and the like in octal."""
    for letter in (" ", "\t", "\n", "\\"):
        place = place.replace(f"\\{ord(letter):03o}", letter)
    return place
