"""The thread that looks for a process that hangs: whom it blames, when it ends the process, and when not."""

from __future__ import annotations

import json
import threading

import pytest
import torch.distributed as dist

from headrace.training.parallel import watch
from headrace.training.parallel.watch import PULSE, Pulse, Watch, restart


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which the process would have ended, each once and then for good."""
    statuses: list[int] = []

    def leave(status: int) -> None:
        statuses.append(status)
        raise SystemExit

    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("headrace.training.parallel.watch.os._exit", leave)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(PULSE, "exchanges", 7)
    monkeypatch.setattr(PULSE, "step", 3)
    return statuses


def looked(
    exchanges: dict[int, int], rank: int, ranks: int = 2, timeout: float = 0.05, wait: float = 0.6
) -> dict:
    """What the thread has told after a while in which nothing goes on."""
    store = dist.HashStore()
    for other, count in exchanges.items():
        store.set(f"pulse/{other}", json.dumps({"step": 10 + other, "exchanges": count}))
    thread = Watch(store, rank, ranks, timeout)
    thread._thread.join(wait)
    thread.close()
    assert not thread._thread.is_alive()
    return json.loads(store.get(f"pulse/{rank}"))


def test_the_one_that_is_ahead_tells_of_the_one_behind_and_ends(ended, capsys) -> None:
    assert looked({1: 6}, rank=0) == {"step": 3, "exchanges": 7}
    assert ended == [1]
    assert "headrace: rank 1 hangs at step 11: for 0 s" in capsys.readouterr().err


def test_the_one_behind_ends_without_a_word(ended, capsys) -> None:
    looked({1: 8}, rank=0)
    assert ended == [1]
    assert capsys.readouterr().err == ""


def test_only_the_first_of_those_ahead_speaks(ended, capsys) -> None:
    looked({0: 7, 2: 6}, rank=1, ranks=3)
    assert ended == [1]
    assert capsys.readouterr().err == ""
    looked({0: 6, 2: 7}, rank=1, ranks=3)
    assert "rank 0 hangs at step 10" in capsys.readouterr().err


def test_a_process_that_never_told_anything_is_behind(ended, capsys) -> None:
    looked({}, rank=0)
    assert ended == [1]
    assert "rank 1 hangs at step 0" in capsys.readouterr().err


@pytest.mark.parametrize(("exchanges", "timeout"), [({1: 7}, 0.05), ({1: 6}, 30.0)])
def test_nobody_ends_where_all_came_equally_far_or_time_is_left(ended, exchanges, timeout) -> None:
    looked(exchanges, rank=0, timeout=timeout, wait=0.3)
    assert ended == []


def test_as_long_as_exchanges_are_made_nobody_ends(ended, monkeypatch) -> None:
    store = dist.HashStore()
    thread = Watch(store, 0, 2, 0.3)
    for count in range(30):
        PULSE.exchanges = 8 + count
        thread._ended.wait(0.02)
    assert json.loads(store.get("pulse/0"))["exchanges"] > 8
    assert ended == []
    thread.close()


def test_pulses_begin_at_nothing(monkeypatch) -> None:
    assert Pulse() == Pulse(step=0, exchanges=0)
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    assert restart() == "0"
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert restart() == "2"
