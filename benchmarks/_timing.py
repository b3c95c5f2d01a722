"""Fair timings on a machine that also does other things: two contestants take turns, medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Medians over the rounds, in seconds, and the spread of the rounds' ratios.

    Attributes:
        ours: Seconds of one call of ours.
        peer: Seconds of one call of the peer.
        rounds: How often each was called.
        ratio_low: Lower quartile of the rounds' peer / ours.
        ratio_high: Upper quartile.
        ratio_undisturbed: The ratio of the lower quartiles of both times: less disturbed by a busy machine.
    """

    ours: float
    peer: float
    rounds: int
    ratio_low: float
    ratio_high: float
    ratio_undisturbed: float

    @property
    def ratio(self) -> float:
        """Peer / ours: more than 1 means that ours is faster."""
        return self.peer / self.ours


def interleaved(
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    rounds: int = 15,
    warmup: int = 2,
    clock: Callable[[], float] = time.process_time,
) -> Timing:
    """Time two callables in turns: ours-peer, peer-ours, ours-peer, ...

    The default clock counts the process's own CPU seconds, which other processes disturb far less than
    wall-clock seconds; take `time.perf_counter` for what waits (disks, GPUs, child processes), and
    synchronise in the callable.
    """
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    contestants = [("ours", ours), ("peer", peer)]
    for turn in range(warmup + rounds):
        for name, call in contestants if turn % 2 == 0 else reversed(contestants):
            started = clock()
            call()
            if turn >= warmup:
                times[name].append(clock() - started)
    ratios = [b / a for a, b in zip(times["ours"], times["peer"], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if rounds > 1 else (ratios[0],) * 3
    return Timing(
        ours=statistics.median(times["ours"]),
        peer=statistics.median(times["peer"]),
        rounds=rounds,
        ratio_low=low,
        ratio_high=high,
        ratio_undisturbed=_lower_quartile(times["peer"]) / _lower_quartile(times["ours"]),
    )


def _lower_quartile(times: list[float]) -> float:
    return sorted(times)[len(times) // 4]
