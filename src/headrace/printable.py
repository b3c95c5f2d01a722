"""Text from names, data and files as it can be shown: without control characters, and not too long."""

from __future__ import annotations

import reprlib
import unicodedata
from collections.abc import Mapping
from itertools import islice
from typing import Any

_SHOWN_AS_THEY_ARE = frozenset("\n\t")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"})
"""Unicode's categories of what moves the cursor, turns the direction of text, is not seen, or unassigned."""


def printable(text: str, *, one_line: bool = False) -> str:
    r"""`text` with every character that a terminal or a page would obey, or not show, as an escape.

    Control characters (and so ANSI sequences), marks of direction, characters without width, separators of
    lines, halves of surrogate pairs and unassigned ones are written as in Python source: `\x1b`,
    `\u202e`. Line breaks and tabs are kept. The result is valid in XML.

    Args:
        text: What is shown.
        one_line: Escape line breaks and tabs too: for names, and cells of tables.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = frozenset[str]() if one_line else _SHOWN_AS_THEY_ARE
    return "".join(c if c in kept or unicodedata.category(c) not in _UNSEEN else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def storable(text: str) -> str:
    """`text` with halves of surrogate pairs, which no encoding accepts, as escapes; the rest is unchanged."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text: str, most: int) -> str:
    """`text`, its end left out if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most:,} more characters)"


class _Brief(reprlib.Repr):
    """`repr` of values from files: the first entries, at a bounded cost."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxdict = 20
        self.maxstring = self.maxother = 300
        self.maxlong = 60

    def repr_dict(self, x: Mapping[Any, Any], level: int) -> str:
        """As of a dictionary, in its own order."""
        if level <= 0 and x:
            return "{...}"
        shown = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in islice(x.items(), self.maxdict)
        ]
        return f"{{{', '.join(shown + ['...'] * (len(x) > len(shown)))}}}"

    def repr_int(self, x: int, level: int) -> str:
        """As of a number; for a huge one its length, because Python refuses to write it."""
        digits = int(x.bit_length() * 0.30103)
        return repr(x) if digits < self.maxlong else f"a number of about {digits:,} digits"


brief = _Brief().repr
"""A value as `repr` shows it, shortened: what was got may have a million entries."""
