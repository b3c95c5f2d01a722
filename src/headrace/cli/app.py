"""The application: every command, and what an error or an interruption looks like to the user."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from headrace import __version__
from headrace.cli import (
    archive,
    clusters,
    comparison,
    data,
    experiments,
    exports,
    feeds,
    figures,
    noise,
    recommend,
    starting,
    subsets,
    tables,
    watch,
)
from headrace.cli._common import INTERRUPTED
from headrace.errors import HeadraceError, InputError
from headrace.printable import printable

INPUT_ERROR = 2

app = App(
    name="headrace",
    version=__version__,
    # Plain text: the Markdown renderer costs 50 ms at every start.
    help_format="plaintext",
    # An interruption is reported below, with what to do next.
    suppress_keyboard_interrupt=False,
    help="Decides what a training run is fed, and measures whether that paid off. Start with: headrace demo",
)
app.command(experiments.demo)
app.command(starting.init)
app.command(experiments.run)
app.command(experiments.status)
app.command(watch.watch)
app.command(experiments.report)
app.command(clusters.merge)
app.command(clusters.submit)
app.command(figures.figure)
app.command(exports.export)
app.command(subsets.subset)
app.command(tables.fit)
app.command(comparison.compare)
app.command(recommend.throughput)
app.command(recommend.recommend)
app.command(noise.noise)
app.command(feeds.feed)
app.command(data.app)
app.command(archive.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code: 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by whoever started us: nobody wants to read it.
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        # If the locale has no letter for a name, its number is written: no command may fail because of that.
        getattr(sys, name).reconfigure(errors="backslashreplace")
    # Schedulers end a job with SIGTERM: what was measured is then kept as it is with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """The exit code of one command; errors that a user can fix are printed without a traceback."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        # What is still buffered may meet a closed pipe: here that can be distinguished from an error.
        print(end="", flush=True)
    except SystemExit as end:
        # Rich ends so when it meets a closed pipe.
        if isinstance(end.__context__, BrokenPipeError):
            return 0
        raise
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is its choice, and not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (CycloptsError, HeadraceError, OSError, KeyboardInterrupt) as error:
        message, code = _explain(error)
        # Under torchrun the others are ended once one has reported what is wrong.
        if not isinstance(error, KeyboardInterrupt) or os.environ.get("RANK", "0") == "0":
            print(printable(f"headrace: {message}"), file=sys.stderr)
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> tuple[str, int]:
    """The message for the user, and the exit code; an error that is ours is raised again."""
    match error:
        case CycloptsError():
            return f"{error}\nSee `headrace --help`.", INPUT_ERROR
        case InputError():
            return str(error), INPUT_ERROR
        case HeadraceError():
            return str(error), 1
        case KeyboardInterrupt():
            return "interrupted; the same command continues from here", INTERRUPTED
        case OSError() if error.errno is not None:
            gone = "the current folder: " if isinstance(error, FileNotFoundError) else ""
            place = f"{error.filename}: " if error.filename else gone
            return f"{place}{error.strerror}. What was measured is safe; fix this and run again.", 1
        case _:
            raise error
