"""The feed log keeps what was fed in few bytes, and the audit finds the known faults of plain loaders."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, DistributedSampler

from headrace import ExampleSampler, FeedLog
from headrace.cli.app import execute
from headrace.errors import DamagedError, InputError
from headrace.feeds import audit
from headrace.feeds.reading import read
from headrace.sampling import Indexed

N, BATCH = 40, 6
BATCHES = -(-N // BATCH)
DATA = [(float(i), 0) for i in range(N)]


def order(seed: int, epoch: int, *, added: bool = False) -> list[int]:
    """An epoch's order of a plain loader; `added` is the fault of seed + epoch."""
    key = seed + epoch if added else (seed, epoch)
    return np.random.default_rng(key).permutation(N).tolist()


def batches(rows: list[int]) -> list[list[int]]:
    return [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]


def train(
    folder: Path, epochs: int, *, seed: int = 0, begin: int = 0, skip: int = 0, stop: int = 99, **how
) -> None:
    """A plain loop that counts its steps, from step `begin`, and at first skips batches of its epoch."""
    with FeedLog(folder, N, rank=0) as log:
        step = begin
        for epoch in range(begin // BATCHES, epochs):
            for batch in batches(order(seed, epoch, **how))[skip:]:
                if step == stop:
                    return
                log.record(torch.tensor(batch), step=step, epoch=epoch, loss=1.0)
                step += 1
            skip = 0


def wrong(folder: Path) -> list[str]:
    feed = read(folder)
    return audit.findings(feed, audit.epochs_of(feed))


@given(stop=st.integers(1, 3 * BATCHES - 1), back=st.integers(0, 3))
@settings(max_examples=15)
def test_a_right_resume_is_found_right_also_if_steps_were_discarded(tmp_path_factory, stop, back):
    folder = tmp_path_factory.mktemp("feed")
    train(folder, 3, stop=stop)
    begin = max(0, stop - back)
    train(folder, 3, begin=begin, skip=begin % BATCHES)
    assert wrong(folder) == []
    feed = read(folder)
    assert feed.examples.tolist() == sum((order(0, epoch) for epoch in range(3)), [])  # noqa: RUF017
    assert feed.resumes == (begin,)
    assert feed.discarded == sum(len(batches(order(0, 0))[step % BATCHES]) for step in range(begin, stop))


def test_a_skip_that_is_applied_twice(tmp_path):
    train(tmp_path, 3, stop=10)
    train(tmp_path, 3, begin=10, skip=2 * (10 % BATCHES))
    (resumed, *others) = wrong(tmp_path)
    assert (
        "Epoch 1, resumed at step 10: as many examples were left out as had been fed before (18)" in resumed
    )
    assert "skipped twice" in resumed
    assert any("18 examples were not fed (" in said for said in others)


def test_one_batch_off_after_a_resume_in_either_direction(tmp_path):
    for name, skip in (("again", 2), ("out", 4)):
        train(tmp_path / name, 3, stop=10)
        train(tmp_path / name, 3, begin=10, skip=skip)
    assert "the batch before the resume was fed again" in wrong(tmp_path / "again")[0]
    assert "one batch was skipped" in wrong(tmp_path / "out")[0]


def test_an_epoch_that_begins_anew_at_a_resume(tmp_path):
    train(tmp_path, 3, stop=10)
    train(tmp_path, 3, begin=10, skip=0)
    assert "the epoch began anew" in wrong(tmp_path)[0]


def test_orders_of_seed_plus_epoch(tmp_path):
    for seed in (0, 1):
        train(tmp_path / f"added-{seed}", 3, seed=seed, added=True)
        train(tmp_path / f"named-{seed}", 3, seed=seed)
    found = audit.shared_orders(read(tmp_path / "added-1"), read(tmp_path / "added-0"), "the other")
    assert [said[:44] for said in found] == [
        f"Epoch {e} has the order of epoch {e + 1} of the other"[:44] for e in (0, 1)
    ]
    assert audit.shared_orders(read(tmp_path / "named-1"), read(tmp_path / "named-0"), "the other") == []


def distributed(folder: Path, examples: int, *, told: bool) -> list[str]:
    """torch's own sampler on two ranks."""
    data = DATA[:examples]
    for rank in range(2):
        sampler = DistributedSampler(data, num_replicas=2, rank=rank)
        log = FeedLog(folder, examples, rank=rank)
        step = 0
        for epoch in range(2):
            if told:
                sampler.set_epoch(epoch)
            for index, _ in DataLoader(Indexed(data), sampler=sampler, batch_size=3):
                log.record(index, step=step, epoch=epoch)
                step += 1
        log.close()
    return wrong(folder)


def test_torchs_distributed_sampler_that_is_not_told_the_epoch_or_pads(tmp_path):
    assert distributed(tmp_path / "right", 24, told=True) == []
    (same,) = distributed(tmp_path / "untold", 24, told=False)
    assert "Epochs 0 and 1 have the same order" in same
    padded = distributed(tmp_path / "padded", 23, told=True)
    assert len(padded) == 2
    assert all("1 example was fed to more than one process" in said for said in padded)


def test_two_processes_that_are_fed_the_same(tmp_path):
    for rank in range(2):
        with FeedLog(tmp_path, N, rank=rank) as log:
            for step, batch in enumerate(batches(order(0, 0))):
                log.record(batch, step=step, epoch=0)
    assert (
        f"{N} examples were fed to more than one process (0, 1, 2, 3, 4, 5, 6, 7, ...)" in wrong(tmp_path)[0]
    )


def test_draws_are_not_faults_and_our_sampler_has_none(tmp_path):
    sampler = ExampleSampler(np.ones(N), batch_size=BATCH, size=N)
    plain = ExampleSampler(N, batch_size=BATCH)
    for name, one, draws in (("drawn", sampler, True), ("each", plain, False)):
        with FeedLog(tmp_path / name, N, draws=draws) as log:
            for epoch in range(3):
                for place, batch in enumerate(one):
                    log.record(batch, step=epoch * BATCHES + place, epoch=epoch)
        assert wrong(tmp_path / name) == []


def test_steps_that_are_missing_are_said(tmp_path):
    train(tmp_path, 2, stop=3)
    train(tmp_path, 2, begin=5, skip=5)
    assert "Steps 3 to 4 are not in the log." in wrong(tmp_path)


@pytest.fixture
def jumped(tmp_path) -> Path:
    with FeedLog(tmp_path, N, rank=0) as log:
        for epoch in range(4):
            for place, batch in enumerate(batches(order(0, epoch))):
                loss = 9.0 if (17 in batch and epoch == 2) else 1.0 + 0.01 * place
                log.record(
                    torch.tensor(batch), step=epoch * BATCHES + place, epoch=epoch, loss=torch.tensor(loss)
                )
    return tmp_path


def test_the_rows_where_the_loss_jumped(jumped, capsys):
    (jump,) = audit.jumps(read(jumped))
    assert (jump.epoch, jump.loss) == (2, 9.0)
    assert (17, 0, 4) in jump.rows
    assert len(jump.rows) in (BATCH, N % BATCH)
    assert execute(["feed", str(jumped)]) == 0
    told = capsys.readouterr().out
    assert f"Step {jump.step} (epoch 2): the loss jumped from " in told
    assert "Nothing is wrong" in told
    assert execute(["feed", str(jumped), "--json", "--step", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["jumps"][0]["step"] == jump.step
    assert [row[0] for row in found["step"]] == batches(order(0, 0))[3]


def test_the_command_ends_with_1_if_something_is_wrong_and_2_if_nothing_is_there(tmp_path, capsys):
    train(tmp_path / "a", 3, stop=10)
    train(tmp_path / "a", 3, begin=10, skip=0)
    assert execute(["feed", str(tmp_path / "a")]) == 1
    assert "began anew" in capsys.readouterr().out
    assert execute(["feed", str(tmp_path)]) == 2
    assert execute(["feed", str(tmp_path / "a"), "--step", "999"]) == 2


@pytest.mark.parametrize(("batch", "size"), [(4, 40_000), (64, 10_000_000)])
def test_an_index_takes_at_most_eight_bytes(tmp_path, batch, size):
    rng = np.random.default_rng(0)
    log = FeedLog(tmp_path, size)
    for step in range(80_000 // batch):
        log.record(
            torch.from_numpy(rng.integers(0, size, batch)), step=step, epoch=0, loss=float(rng.random())
        )
    log.close()
    used = sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert used / 80_000 <= 8


def test_recording_takes_a_hundredth_of_a_step_of_five_milliseconds(tmp_path):
    log = FeedLog(tmp_path, 50_000)
    index = torch.randperm(50_000)[:64]
    log.record(index, step=0, epoch=0, loss=1.0)
    log.flush()
    began = time.process_time()
    for step in range(1, 3001):
        log.record(index, step=step, epoch=0, loss=1.0)
    log.close()
    assert (time.process_time() - began) / 3000 < 50e-6


@pytest.mark.parametrize("index", [[-1], [N], [2**40]])
def test_rows_out_of_range_are_refused(tmp_path, index):
    log = FeedLog(tmp_path, N)
    log.record(index, step=0, epoch=0)
    with pytest.raises(InputError, match=f"index: must be from 0 to {N - 1}"):
        log.flush()


def test_a_log_that_was_altered_is_refused(tmp_path):
    train(tmp_path, 1)
    (path,) = tmp_path.rglob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        read(tmp_path)
