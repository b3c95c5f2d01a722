"""Worker processes of this machine: how they are started, what they say of errors, and how they end.

They are started afresh (spawn), for torch and CUDA do not survive a fork, with one thread each. They hold one
end of a pipe; when the process that started them ends, however it ends, the pipe closes and so do they.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, TypeVarTuple

from headrace.engines._base import WorkerDied
from headrace.errors import HeadraceError, InputError

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

GRACE_SECONDS = 60
"""How long a worker stays after SIGTERM."""

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def physical_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Lifeline:
    """What keeps worker processes alive: they end when it is cut, or when this process ends."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self._reader, self._writer = self.context.Pipe(duplex=False)

    def workers(self, count: int, begin: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
        """An executor with `count` processes, each of which first calls `begin(*arguments)`.

        They are started at the first task; submit it within `worker_environment`.
        """
        return ProcessPoolExecutor(
            max_workers=count,
            mp_context=self.context,
            initializer=_begin,
            initargs=(self._reader, begin, arguments),
        )

    def cut(self) -> None:
        """End the workers at once, no matter what they do."""
        self._writer.close()
        self._reader.close()


def _begin(parent: Any, begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Schedulers send SIGTERM to all processes of a job. The first of them stores what was measured, and then
    # ends the others; if it does not, they end by themselves.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_SECONDS))
    # What the user's code prints must not mix with the command line's own output.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    begin(*arguments)


def _end_with(parent: Any) -> None:
    """Wait until the pipe is closed, be it by an orderly end or because the parent was killed."""
    with suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(1)


def plainly(function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
    """`function(*arguments)` in a worker; what it raises can be sent to another process."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        sent = sendable(error)
        if sent is error:
            raise
        raise sent from None


def sendable(error: BaseException) -> Exception:
    """An error as one that can be pickled: ours by their texts, others themselves where that is possible.

    A user's exception with arguments of its own can often be pickled but not be made again.
    """
    if isinstance(error, InputError):
        return InputError(str(error))
    if isinstance(error, HeadraceError):
        return HeadraceError(str(error))
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301  (what was pickled here, just now)
    except Exception:  # noqa: BLE001  (any error of the user's exception when it is copied)
        again = None
    return error if isinstance(again, Exception) and isinstance(error, Exception) else _worded(error)


def _worded(error: BaseException) -> HeadraceError:
    return HeadraceError(f"a job raised {type(error).__name__}: {error}")


def died() -> WorkerDied:
    """The one text for a worker's death: what is safe, and what to do."""
    return WorkerDied(
        "a worker process died, perhaps because the memory ran out (see above for what it said). "
        "What was finished before is safe. Run again with fewer processes or a smaller microbatch. In a "
        'script, the call that starts the processes must be under `if __name__ == "__main__":`.'
    )


@contextmanager
def worker_environment() -> Generator[None]:
    """What worker processes inherit when they are started: one thread each, and no heed of Ctrl-C."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
