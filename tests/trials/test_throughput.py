"""Measuring step times for real, on a tiny workload; what is refused."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.analysis.throughput import throughput_summary
from headrace.engines._base import everywhere
from headrace.engines.local import LocalEngine
from headrace.engines.processes import cores
from headrace.errors import InputError
from headrace.trials.advance import MakeBench
from headrace.trials.rank_timing import joined
from headrace.trials.step_timing import BLOCKS
from headrace.trials.throughput import count_points, measure

pytestmark = pytest.mark.usefixtures("tiny")


def test_every_optimiser_and_batch_size_is_timed_once(experiment) -> None:
    lines: list[str] = []
    asked = experiment({"training.budget": {"epochs": 0.5}})
    found = measure(asked, seconds=1e-3, progress=lines.append)
    points = [(timing.optimizer, timing.batch_size) for timing in found.timings]
    assert points == [("sgd", 4), ("sgd", 16), ("nesterov", 4), ("nesterov", 16)]
    assert len(lines) == 4
    assert found.parameters == 8 * 8 + 8 + 8 * 2 + 2
    for timing in found.timings:
        assert len(timing.seconds_per_step) == BLOCKS[0]
        assert all(seconds > 0 for seconds in timing.seconds_per_step)
        assert timing.workers == 1


def test_a_pause_in_the_model_is_in_the_step_time(experiment) -> None:
    asked = experiment(
        {"workload.settings": {"pause": 0.004}, "grid": {"batch_size": [4]}, "search.space.momentum": None}
    )
    (timing,) = measure(asked, seconds=1e-3).timings
    assert min(timing.seconds_per_step) >= 0.004


@pytest.mark.skipif(cores() < 2, reason="two workers need two cores")
def test_two_real_workers_share_each_batch_and_exchange_gradients(experiment) -> None:
    lines: list[str] = []
    asked = experiment(
        {
            "workload.settings": {"pause": 0.01},
            "grid": {"batch_size": [1, 6]},
            "search.space.momentum": None,
        }
    )
    found = measure(asked, workers=[2], seconds=1e-3, progress=lines.append)
    assert len(lines) == count_points(asked, [2]) == 4
    # A batch of one example has none for the second worker.
    assert [(t.batch_size, t.workers) for t in found.timings] == [(1, 1), (6, 1), (6, 2)]
    assert min(found.timings[-1].seconds_per_step) >= 0.01
    (exchange,) = found.exchanges
    assert exchange.workers == 2
    assert len(exchange.seconds) >= BLOCKS[0]
    assert min(exchange.seconds) > 0
    summary = throughput_summary(found)
    assert "Moving the gradients once takes" in summary["words"][0]
    assert "on 1 and 2 worker(s)" in summary["words"][0]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are looked up in /proc")
def test_ranks_listen_on_the_loopback_interface_only(experiment) -> None:
    make = MakeBench.of(experiment({"training.device": "cpu"}))
    with LocalEngine(2).open(make) as engine, joined(engine):
        found = everywhere(engine, Listening())
    assert {address for addresses in found for address in addresses} == {"127.0.0.1"}


class Listening:
    def do(self, bench: object) -> list[str]:
        return listening()


def listening() -> list[str]:
    """The addresses on which this process listens."""
    links = [str(Path(os.path.realpath(link)).name) for link in Path("/proc/self/fd").iterdir()]
    mine = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}
    found = []
    for family, name in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in mine:
                words = bytes.fromhex(fields[1].split(":")[0])
                swapped = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.append(socket.inet_ntop(family, swapped))
    return found


def test_an_error_in_a_worker_is_told_and_ends_the_others(experiment) -> None:
    asked = experiment({"training.device": "cpu"})
    with (
        pytest.raises(InputError, match="stop here"),
        LocalEngine(2).open(MakeBench.of(asked)) as engine,
    ):
        everywhere(engine, OneStopsTheOtherWaits())


class OneStopsTheOtherWaits:
    def do(self, bench: Any) -> None:
        if bench.place.rank == 1:
            raise InputError("stop here")
        time.sleep(600)


def test_what_cannot_be_timed_is_refused(experiment) -> None:
    with pytest.raises(InputError, match="this machine can time from 1 to"):
        measure(experiment(), workers=[cores() + 1])
    with pytest.raises(InputError, match="larger than the training set of 96 examples; got 97"):
        measure(experiment({"grid.batch_size": [4, 97]}))
    with pytest.raises(InputError, match="must be a positive number; got 0"):
        measure(experiment(), seconds=0)
