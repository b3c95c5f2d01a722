"""What several commands share: the JSON switch, tables on the terminal."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter

from headrace.errors import InputError
from headrace.printable import printable

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object and nothing else.")]

INTERRUPTED = 130
"""The exit code of a command that was interrupted."""

_PIPE_WIDTH = 240


def one_process(command: str) -> None:
    """Refuse to be one of several processes.

    Raises:
        InputError: torchrun started this.
    """
    from headrace.engines import torchrun

    if torchrun.active():
        raise InputError(
            "works in one process and starts others itself if it needs them",
            where=f"headrace {command}",
            fix="Start it without torchrun.",
        )


@contextmanager
def working(on: str) -> Generator[None]:
    """Show on the terminal (standard error) what is being done, while the block lasts."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(file=sys.stderr).status(on):
        yield


@contextmanager
def counting(total: int) -> Generator[Callable[[str], None]]:
    """A bar on the terminal (standard error) that advances with each line; elsewhere the lines themselves.

    Args:
        total: How many lines there will be.
    """
    if not sys.stderr.isatty():
        yield lambda line: say(line, error=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn())
    said = TextColumn("{task.description}", markup=False)
    with Progress(*columns, said, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("starting", total=total)
        yield lambda line: bar.update(task, advance=1, description=printable(line, one_line=True))


@contextmanager
def sharing(on: str) -> Generator[Callable[[float], None]]:
    """A bar on the terminal (standard error) that is shown the share of the work that is done."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(on, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def say(text: str, *, error: bool = False) -> None:
    """A paragraph on standard output, or on standard error; on a terminal lines break between words.

    Names in it cannot move the cursor, turn the direction of text or change colours.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stderr if error else sys.stdout, highlight=False)
    # In a log or a pipe a sentence stays one line.
    console.print(Text(printable(text)), soft_wrap=not console.is_terminal)


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output; numbers that are not finite become null.

    Characters that a terminal would obey, or cannot show, are JSON's own escapes: the content is the same.
    """
    text = json.dumps(_finite(value), indent=2, ensure_ascii=not _is_utf8(), allow_nan=False)
    if printable(text) != text:
        text = "".join(c if printable(c) == c else json.dumps(c)[1:-1] for c in text)
    print(text)


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None
) -> None:
    """A table as wide as the terminal allows; the first column to the left, the others to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width: nothing may be cut off there.
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    if title:
        console.print(Text(printable(title), style="bold"), soft_wrap=True)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(Text(printable(column, one_line=True)), justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if whole else printable(str(value), one_line=True)
