"""What runs at once fits into the memory there is, and no more would."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from headrace.ensembles.memory import (
    CPU_ACTIVATION_BYTES,
    CPU_BYTES,
    activation_bytes,
    default_bytes,
    make_plan,
    state_bytes,
)

MODEL = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.Linear(10, 3)).eval()
STATE = 4 * (6 * 10 + 10 + 4 * 10 + 10 * 3 + 3) + 8
"""Weights, the four of the norm and its count of batches."""
ACTIVATION = 2 * 4 * (10 + 10)
"""Twice the largest input and output within: those of the norm."""


def test_bytes_are_those_of_the_numbers():
    assert state_bytes(MODEL) == STATE
    assert activation_bytes(MODEL, torch.zeros(1, 6)) == ACTIVATION
    assert activation_bytes(MODEL, torch.zeros(4, 6)) == ACTIVATION
    assert activation_bytes(MODEL.double(), torch.zeros(2, 6).double()) == 2 * ACTIVATION
    MODEL.float()
    assert default_bytes(torch.device("cpu")) == CPU_BYTES == 2**30
    assert CPU_ACTIVATION_BYTES == 2**24
    assert not any(part._forward_hooks for part in MODEL.modules())


def test_on_a_gpu_half_of_what_is_free_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (11, 1000))
    assert default_bytes(torch.device("cuda")) == 5


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 60_000))
def test_as_much_as_fits_runs_at_once(members, batch_size, memory):
    plan = make_plan(MODEL, torch.zeros(1, 6), members, batch_size, memory)
    half = memory // 2
    fits = [n for n in range(1, members + 1) if n * 2 * STATE <= half]
    assert plan.members_at_once == max(fits, default=1)
    fits = [n for n in range(1, batch_size + 1) if n * ACTIVATION <= half]
    assert plan.batch_size == max(fits, default=1)
    fits = [n for n in range(1, plan.members_at_once + 1) if n * plan.batch_size * ACTIVATION <= half]
    assert plan.stack_chunk == max(fits, default=1)
    assert plan.passes == len(range(0, members, plan.members_at_once))
    taken = plan.members_at_once * 2 * STATE + plan.stack_chunk * plan.batch_size * ACTIVATION
    assert plan.estimated_bytes == taken
    assert taken <= max(memory, 2 * STATE + ACTIVATION + half)


@pytest.mark.parametrize("given_bytes", [None, 2**40])
def test_on_the_host_activations_stay_in_the_caches(given_bytes):
    plan = make_plan(MODEL, torch.zeros(1, 6), 3, 10**9, given_bytes)
    assert plan.batch_size == CPU_ACTIVATION_BYTES // ACTIVATION
    assert (plan.stack_chunk, plan.members_at_once, plan.passes) == (1, 3, 1)


def test_a_model_without_weights_takes_something():
    plan = make_plan(nn.Identity(), torch.zeros(1, 6), 3, 4, 1)
    assert (plan.members_at_once, plan.batch_size, plan.passes) == (1, 1, 3)
