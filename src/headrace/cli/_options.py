"""Arguments of the command line: how paths are read, and which numbers are taken."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from headrace.errors import InputError

MOST_PROCESSES = 1_024
MOST_WORKERS = 1_000_000


def _path(_: Any, tokens: Sequence[Token]) -> Path:
    """A path as a shell or a job script passes it; mistakes of quoting are named, and `~` is the home.

    Raises:
        InputError: The text is empty, or begins or ends with blanks or a line break.
    """
    text, name = tokens[0].value, tokens[0].keyword or "the path"
    if not text.strip():
        fix = "Give a path; a variable in a script may be unset."
        raise InputError("must not be empty", where=name, got=text, fix=fix)
    if text != text.strip():
        fix = "Remove them; a script with Windows line ends adds \\r."
        raise InputError("must not begin or end with blanks or line breaks", where=name, got=text, fix=fix)
    if text != "~" and not text.startswith("~/"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        fix = "Write the path in full."
        raise InputError("the home folder cannot be found", where=name, got=text, fix=fix) from None


def _text(_: Any, tokens: Sequence[Token]) -> str:
    """A name from a table, which is UTF-8 even if the locale is not."""
    return os.fsencode(tokens[0].value).decode("utf-8", "surrogateescape")


def _texts(_: Any, tokens: Sequence[Token]) -> list[str]:
    return [_text(_, [token]) for token in tokens]


AText = Annotated[str, Parameter(converter=_text)]
OptionalText = Annotated[str | None, Parameter(converter=_text)]
Texts = Annotated[list[str] | None, Parameter(converter=_texts, negative="")]
"""An option that may be repeated."""
APath = Annotated[Path, Parameter(converter=_path)]
"""A path that must be given."""
OptionalPath = Annotated[Path | None, Parameter(converter=_path)]


def _paths(_: Any, tokens: Sequence[Token]) -> list[Path]:
    return [_path(_, [token]) for token in tokens]


Paths = Annotated[list[Path], Parameter(converter=_paths)]
"""One or more paths."""


def check_number(name: str, given: float | Sequence[float] | None, low: float, high: float) -> None:
    """Check an option's number, or numbers; None for an option that was not given.

    Args:
        name: The option.
        given: What was given.
        low: The smallest number that is taken.
        high: The largest.

    Raises:
        InputError: One of them is below, above, or not a number.
    """
    for value in given if isinstance(given, Sequence) else [] if given is None else [given]:
        if math.isnan(value) or value < low:
            raise InputError(f"must be at least {low:,}", where=name, got=value)
        if value > high:
            raise InputError(f"must be at most {high:,}", where=name, got=value)


def check_processes(processes: int | None) -> None:
    """Check `--processes`.

    Raises:
        InputError: It is below 1, or more than any machine runs well.
    """
    check_number("--processes", processes, 1, MOST_PROCESSES)
