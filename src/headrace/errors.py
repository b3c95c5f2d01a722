"""The errors a user can mend: what is wrong, where, what was got, and the fix."""

from __future__ import annotations

from collections.abc import Sequence


class HeadraceError(Exception):
    """Base of all errors that Headrace raises on purpose."""


class InputError(HeadraceError):
    """Something given by the user cannot be used; the command line exits with code 2.

    Args:
        what: What is wrong, as a sentence without its full stop.
        where: The file and place, or the name of the parameter.
        got: The value that was found there, shown with `repr`.
        fix: What to do next.
    """

    _nothing = object()

    def __init__(
        self, what: str, *, where: str | None = None, got: object = _nothing, fix: str | None = None
    ) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        parts = [f"{where}: {what}" if where else what]
        if got is not InputError._nothing:
            parts.append(f"got {got!r}")
        super().__init__("; ".join(parts) + (f". {fix}" if fix else ""))


class InputErrors(InputError):
    """Every error of one file at once.

    Args:
        errors: The single errors, in the order in which they stand in the file.
        where: The file.
    """

    def __init__(self, errors: Sequence[InputError], *, where: str) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        lines = "\n".join(f"  - {error}" for error in self.errors)
        super().__init__(f"{count} {'error' if count == 1 else 'errors'}\n{lines}", where=where)


class BusyError(InputError):
    """The folder is in use by another process."""


class DamagedError(InputError):
    """A stored part was truncated or altered: its checksum does not fit."""
