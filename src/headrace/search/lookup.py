"""Finding what is called so: ids and classes as other programs give them back. Pure functions of values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from headrace.csv_cells import given_text
from headrace.ids import LARGEST, Id

_DECIMAL = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?")
_SEPARATED = re.compile(r"[0-9]{1,3}([,.'’_\s][0-9]{3})+")


def plain(value: object) -> str | None:
    """One text for all that a spreadsheet or an annotator's tool may make of a name without anyone's intent.

    White space around it is left out, letters with marks are composed (NFC), and a number has no leading and
    no trailing zeros and no sign of plus: `12`, `12.0` and ` 012` are one.

    Args:
        value: A text or a number; of other kinds None comes back.
    """
    if isinstance(value, float):
        return plain(int(value)) if value.is_integer() and abs(value) <= LARGEST else _number(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return _number(unicodedata.normalize("NFC", str(value)).strip())


def _number(text: str) -> str:
    found = _DECIMAL.fullmatch(text)
    if found is None:
        return text
    sign, whole, part = found[1].removeprefix("+"), found[2].lstrip("0") or "0", (found[3] or "").rstrip("0")
    number = f"{whole}.{part}" if part else whole
    return number if number == "0" else sign + number


class Lookup:
    """Names that can be distinguished in any file that comes back.

    Args:
        names: Ids or classes, each different.
    """

    def __init__(self, names: Sequence[Id]) -> None:
        self._names = names
        self._places = {plain(name): place for place, name in enumerate(names)}

    def find(self, value: object) -> int | None:
        """The place of the name that `value` is, or None."""
        text = plain(value)
        if text is None or text in self._places:
            return self._places.get(text)
        return self._places.get(plain(given_text(text)))

    def near(self, value: object) -> str:
        """What to do about a value that is none of the names, or an empty text."""
        text = (plain(value) or "").casefold()
        alike = [str(name) for name in self._names if str(name).casefold() == text]
        if alike:
            return f"Did you mean {alike[0]!r}? Capitals count."
        separated = _SEPARATED.fullmatch(text) is not None
        return "Write numbers without separators between thousands." if separated else ""


def hard_to_find(names: Sequence[Id]) -> Iterator[str]:
    """Why names would not come back from a file as they went out: a sentence for the first of each reason."""
    seen: dict[str | None, Id] = {}
    for name in names:
        before = seen.setdefault(plain(name), name)
        if before is not name:
            yield f"{before!r} and {name!r} become the same in a spreadsheet"
            break
    odd = (n for n in names if isinstance(n, str) and (not n.isprintable() or n != n.strip()))
    for name in odd:
        yield f"{name!r} has white space at an end, or characters that cannot be printed"
        break
