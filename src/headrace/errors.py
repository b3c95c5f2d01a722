"""The errors a user can fix: what is wrong, where, what was got, and the fix."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from headrace.printable import brief, cut, printable

_LIBRARIES = ("<", str(Path(__file__).parent), str(Path(traceback.__file__).parent))
"""How file names begin that are not the user's: frozen modules, this package, the standard library."""
_MOST_ERRORS = 30
"""How many errors of one file are shown."""
_MOST_KNOWN, _LONGEST_GUESSED = 100, 80
"""Among how many words the one that was meant is looked for, and for words of which length."""
_LONGEST_PLACE, _LONGEST = 1_000, 100_000
"""The most characters of a place, and of what is wrong or the fix, that are shown."""


class _Nothing:
    """No value was found. A class, which is the same one after it was sent to another process."""


class HeadraceError(Exception):
    """Base of all errors that Headrace raises on purpose."""


class InputError(HeadraceError):
    """Something given by the user cannot be used; the command line exits with code 2.

    Its text has no control characters, and long values are shortened, wherever the parts come from.

    Args:
        what: What is wrong, as a sentence without its full stop.
        where: The file and place, or the name of the parameter.
        got: The value that was found there, shown as `repr` does, shortened.
        fix: What to do next.
    """

    def __init__(
        self, what: str, *, where: str | None = None, got: object = _Nothing, fix: str | None = None
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.fix = fix
        place = f"{printable(cut(where, _LONGEST_PLACE), one_line=True)}: " if where else ""
        value = "" if got is _Nothing else f"; got {brief(got)}"
        advice = f". {cut(fix, _LONGEST)}" if fix else ""
        super().__init__(printable(place + cut(what, _LONGEST) + value + advice))

    def within(self, place: str) -> InputError:
        """The same error, found in `place`, for example the file that was being read."""
        where = f"{place}: {self.where}" if self.where else place
        return InputError(self.what, where=where, got=self.got, fix=self.fix)


class InputErrors(InputError):
    """Every error of one file at once; the text shows the first of very many.

    Args:
        errors: The single errors, in the order of the file.
        where: The file.
    """

    def __init__(self, errors: Sequence[InputError], *, where: str) -> None:
        self.errors = tuple(errors)
        count = len(self.errors)
        lines = [f"  - {error}" for error in self.errors[:_MOST_ERRORS]]
        lines += [f"  - and {count - _MOST_ERRORS:,} more"] if count > _MOST_ERRORS else []
        super().__init__("\n".join([f"{count:,} {'error' if count == 1 else 'errors'}", *lines]), where=where)


class BusyError(InputError):
    """The folder is in use by another process."""


class DamagedError(InputError):
    """A stored part was truncated or altered: its checksum does not match."""


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """The fix for an unknown word: the closest known one, and all of them (the first of very many)."""
    names = [str(name) for name in islice(known, _MOST_KNOWN + 1)]
    more = ", ..." if len(names) > _MOST_KNOWN else ""
    return f"{closest(got, names)} Known: {', '.join(names[:_MOST_KNOWN])}{more}.".lstrip()


def closest(
    got: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6, among: int = _MOST_KNOWN
) -> str:
    """A guess at what was meant, as a question, or nothing.

    Args:
        got: What was given. Comparing long words is slow: for them there is no guess.
        known: What could be meant.
        most: How many guesses there may be.
        cutoff: How alike they must be, from 0 to 1.
        among: How many of the known words are compared: the first.
    """
    # Only after an error: every start of the command line would pay for it.
    from difflib import get_close_matches

    names = list(islice(known, among)) if len(got) <= _LONGEST_GUESSED else []
    close = get_close_matches(got, names, n=most, cutoff=cutoff)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""


def describe(error: BaseException) -> str:
    """The error's kind and text, with the innermost file and line of the user's own code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _is_users(filename: str) -> bool:
    return not filename.startswith(_LIBRARIES) and not {"site-packages", "dist-packages"} & set(
        Path(filename).parts
    )
