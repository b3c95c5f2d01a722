"""What is said of processes that differ or stand still: pure functions of what each of them tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.training.parallel import ProcessWorld, join
from headrace.training.parallel.agreement import differences
from headrace.training.parallel.watch import Pulse, behind, verdict


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_those_behind_are_the_ones_with_fewest_exchanges(counts: list[int]) -> None:
    late = behind(dict(enumerate(counts)))
    assert late == ([] if len(set(counts)) == 1 else [r for r, c in enumerate(counts) if c == min(counts)])


@pytest.mark.parametrize(
    ("exchanges", "says"),
    [
        ((7, 6, 7), "rank 1 hangs at step 4: for 60 s the other ranks have waited for it"),
        ((6, 6, 7), "rank 0 and rank 1 hang at step 4: for 60 s the other ranks have waited for it"),
    ],
)
def test_what_is_said_of_a_run_that_stands_still(exchanges: tuple[int, ...], says: str) -> None:
    pulses = {rank: Pulse(step=4, exchanges=count) for rank, count in enumerate(exchanges)}
    assert verdict(pulses, 60.2) == says


def test_what_differs_is_named_with_its_rank() -> None:
    mine = {"torch": "2.13", "training set": "ab"}
    assert differences([mine, mine, mine]) == []
    found = differences([mine, {**mine, "torch": "2.12"}, {"torch": "2.13"}])
    assert [str(error) for error in found] == [
        "rank 1: has another torch than rank 0, which has 2.13; got '2.12'. Give every process the same.",
        "rank 2: has another training set than rank 0, which has ab; got None. Give every process the same.",
    ]


def test_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"this process was not started by torchrun\. Start it by: torchrun"):
        join()
    with pytest.raises(InputError, match=r"torch\.distributed has no process group"):
        ProcessWorld()
