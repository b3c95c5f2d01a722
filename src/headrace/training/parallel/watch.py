"""Which process hangs: each counts the exchanges that it has reached, and a thread reads all counts.

When a process hangs, the others wait for it within an exchange, so it is the one that has reached fewer. The
counts are shared through the store of `torch.distributed`, which torchrun keeps outside of the processes: so
a process that was stopped altogether is found too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from torch._C._distributed_c10d import TCPStore
from torch.distributed.distributed_c10d import PrefixStore, Store

INTERVAL_SECONDS = 1.0
"""How often the counts are shared."""


@dataclass
class Pulse:
    """How far this process has come.

    Attributes:
        step: Steps begun in the training that runs.
        exchanges: Exchanges reached, of all trainings; the same in every process that waits for the same.
    """

    step: int = 0
    exchanges: int = 0


PULSE = Pulse()
"""This process's; there is one, as there is one process group."""


def behind(exchanges: Mapping[int, int]) -> list[int]:
    """The ranks that the others wait for: those that have reached the fewest exchanges, if some have more.

    Args:
        exchanges: Rank -> the exchanges that it has reached.
    """
    least = min(exchanges.values())
    late = sorted(rank for rank, count in exchanges.items() if count == least)
    return late if len(late) < len(exchanges) else []


def verdict(pulses: Mapping[int, Pulse], seconds: float) -> str:
    """One sentence for the user.

    Args:
        pulses: Rank -> how far it has come; some are behind.
        seconds: How long no process made progress.
    """
    late = behind({rank: pulse.exchanges for rank, pulse in pulses.items()})
    names = " and ".join(f"rank {rank}" for rank in late)
    step = pulses[late[0]].step
    hang = "hangs" if len(late) == 1 else "hang"
    return f"{names} {hang} at step {step}: for {seconds:.0f} s the other ranks have waited for it"


class Watch:
    """A thread that shares this process's pulse, and ends the process if no process makes progress.

    Args:
        store: Shared by the processes.
        rank: This process.
        ranks: How many there are.
        timeout_seconds: How long a process may hang.
    """

    def __init__(self, store: Store, rank: int, ranks: int, timeout_seconds: float) -> None:
        self._store = store
        self._rank = rank
        self._ranks = ranks
        self._timeout = timeout_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; a thread that still used the store at the end of the process would abort it."""
        self._ended.set()
        self._thread.join(10 * INTERVAL_SECONDS)

    def _look(self) -> None:
        seen, since = -1, time.monotonic()
        while not self._ended.wait(INTERVAL_SECONDS):
            told = json.dumps({"step": PULSE.step, "exchanges": PULSE.exchanges})
            try:
                self._store.set(f"pulse/{self._rank}", told)
            except RuntimeError:
                # The store has gone, and with it the run.
                return
            if seen != PULSE.exchanges:
                seen, since = PULSE.exchanges, time.monotonic()
            elif time.monotonic() - since > self._timeout:
                self._judge(time.monotonic() - since)

    def _judge(self, seconds: float) -> None:
        """Report who hangs, once, and end the process: torchrun then ends or restarts the others.

        If all have come equally far, they all work on something long; if they all wait for the network,
        torch's own timeout comes later.
        """
        pulses = {rank: self._pulse(rank) for rank in range(self._ranks)}
        late = behind({rank: pulse.exchanges for rank, pulse in pulses.items()})
        if not late:
            return
        speaker = min(rank for rank in pulses if rank not in late)
        if self._rank == speaker:
            sys.stderr.write(f"headrace: {verdict(pulses, seconds)}\n")
            sys.stderr.flush()
        else:
            # The process that reports goes first, so that its message is out before torchrun ends everybody.
            self._ended.wait(5 * INTERVAL_SECONDS)
        os._exit(1)

    def _pulse(self, rank: int) -> Pulse:
        key = f"pulse/{rank}"
        if not self._store.check([key]):
            return Pulse()
        return Pulse(**json.loads(self._store.get(key)))


def restart() -> str:
    """How often torchrun has started this process anew: what the store holds from before is stale."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def shared_store(seconds: float = 60.0) -> Store:
    """A connection of its own to the store through which the processes found each other.

    Args:
        seconds: How long a value is waited for.
    """
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        timeout=timedelta(seconds=seconds),
    )
    # A restart begins anew, on the same store.
    return PrefixStore(f"headrace/{restart()}", store)
