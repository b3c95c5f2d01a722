"""The window of predicted labels against lists, and tables read or joined in pieces against whole ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import History, LabelWindow, LossHistory, SharedHistory, labels, parts, shared, window
from headrace.histories.arrays import FEW, upright

from .brute import Batch, batches, record
from .test_history import as_on_a_device

N = 6


def entropy(seen: list[int]) -> float:
    shares = np.unique(seen, return_counts=True)[1] / max(len(seen), 1)
    return float(-(shares * np.log(shares)).sum())


def most_frequent(seen: list[int]) -> int:
    return min(seen, key=lambda label: (-seen.count(label), label), default=-1)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, N - 2), st.integers(0, 3)), max_size=9), max_size=5),
    st.integers(1, 5),
    st.booleans(),
)
def test_the_window_holds_the_last_labels_of_each_example(sequence, length, device):
    """Also of examples that occur several times in a batch, more often than the window is long."""
    found = LabelWindow(N, 4, window=length)
    if device:
        as_on_a_device(found)
    stored: list[list[int]] = [[] for _ in range(N)]
    for batch in sequence:
        index = torch.tensor([example for example, _ in batch], dtype=torch.int64)
        logits = torch.full((len(batch), 4), -2.0)
        for place, (example, label) in enumerate(batch):
            logits[place, label] = 1.0
            stored[example].append(label)
        found.record(index, logits)
    last = [seen[-length:] for seen in stored]
    assert found.count.tolist() == [len(seen) for seen in stored]
    assert found.most_frequent().tolist() == [most_frequent(seen) for seen in last]
    assert found.entropy().tolist() == pytest.approx([entropy(seen) for seen in last], abs=1e-6)
    again = LabelWindow(N, 4, window=length)
    again.load_state_dict(found.state_dict())
    assert again.most_frequent().tolist() == found.most_frequent().tolist()
    assert again.state_dict().keys() == found.state_dict().keys()


def test_label_255_is_a_label():
    found = LabelWindow(2, 256, window=2)
    found.record(torch.tensor([1]), torch.eye(256)[[255]])
    assert found.most_frequent().tolist() == [-1, 255]


@pytest.mark.parametrize(
    ("setting", "taken", "refused"),
    [
        ("num_examples", [1, 2], [0, -1]),
        ("num_classes", [2, 256], [1, 257]),
        ("window", [1, 2, 100], [0, -1]),
    ],
)
def test_settings_of_a_label_window(setting, taken, refused):
    given_settings = {"num_examples": 3, "num_classes": 3, "window": 3}
    for value in taken:
        assert getattr(LabelWindow(**given_settings | {setting: value}), setting) == value
    for value in refused:
        with pytest.raises(InputError, match=setting):
            LabelWindow(**given_settings | {setting: value})
    assert LabelWindow(3, 3).window == 10


def test_a_label_window_refuses_other_classes_and_states():
    found = LabelWindow(3, 3, window=2)
    with pytest.raises(InputError, match="the logits have 2 classes, 3 were announced"):
        found.record(torch.tensor([0, 1, 2]), torch.zeros(3, 2))
    whole = found.state_dict()
    assert whole["version"] == 1
    altered: list[Any] = [None, [], {key: value for key, value in whole.items() if key != "labels"}]
    others = {"version": 2, "num_examples": 4, "num_classes": 4, "window": 3, "labels": [1], "count": None}
    altered += [whole | {key: value} for key, value in others.items()]
    altered += [whole | {key: whole[key][:-1]} for key in ("labels", "count")]
    for one in altered:
        with pytest.raises(InputError, match="load_state_dict"):
            found.load_state_dict(one)


@pytest.mark.parametrize("read", [LabelWindow.most_frequent, LabelWindow.entropy, LabelWindow.state_dict,
                                  lambda found: found.count])  # fmt: skip
def test_reading_a_label_window_tells_of_bad_rows_on_a_device(read):
    found = as_on_a_device(LabelWindow(3, 2))
    found.record(torch.tensor([3]), torch.zeros(1, 2))
    with pytest.raises(InputError, match="index: a batch recorded since the last reading"):
        read(found)
    read(found)


@pytest.mark.parametrize("chunk", [1, 2, 4])
@settings(max_examples=15, deadline=None)
@given(first=batches(), second=batches(), form=st.sampled_from([{}, {"decay": 0.8}, {"window": 3}]))
def test_pieces_of_a_table_give_what_the_whole_gives(
    chunk: int, first: list[Batch], second: list[Batch], form
):
    """Merged, united and read a few rows at a time, as tables are that are longer than a piece."""

    def results() -> list[torch.Tensor]:
        histories = [History(5, **form) for _ in range(2)]
        seen = LabelWindow(5, 3, window=3)
        for history, sequence in zip(histories, (first, second), strict=True):
            for batch in sequence:
                record(history, batch)
                seen.record(torch.tensor(batch[0]), torch.from_numpy(batch[1]))
        tables = [history.table.tensor.clone() for history in histories]
        united = histories[0].table.united(torch.zeros_like(tables[0]), torch.stack(tables))
        merged = histories[0].merge(histories[1]).table.tensor
        return [united, merged, seen.most_frequent(), seen.entropy()]

    whole = results()
    with pytest.MonkeyPatch.context() as patch:
        for module in (labels, parts, window, shared):
            patch.setattr(module, "CHUNK", chunk)
        patch.setattr("headrace.histories.growing.CHUNK", chunk)
        assert all(torch.equal(one, other) for one, other in zip(results(), whole, strict=True))


@pytest.mark.parametrize("columns", [1, FEW - 1, FEW, FEW + 1])
def test_upright_is_the_transpose_at_any_width(columns):
    rows = np.arange(3.0 * columns).reshape(3, columns)
    assert np.array_equal(upright(rows), rows.T)
    assert upright(torch.from_numpy(rows)).equal(torch.from_numpy(rows.T.copy()))


@pytest.mark.parametrize("size", [4095, 4096, 4097])
@pytest.mark.parametrize("keep", [False, True])
def test_batches_around_the_size_at_which_the_library_changes(size, keep):
    """8 classes: 32,768 logits are the last that NumPy takes."""
    rng = torch.Generator().manual_seed(size)
    logits = torch.randn(size, 8, generator=rng)
    index = torch.arange(size)
    history = History(size)
    mask = index % 3 > 0 if keep else None
    history.record(index, logits, index % 8, keep=mask)
    shares = logits.double().softmax(1)[index, index % 8]
    expected = torch.where(mask, shares, 0.0) if keep else shares
    torch.testing.assert_close(history.mean("probability").double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [History, LossHistory, lambda n: LabelWindow(n, 2)])
def test_the_last_example_is_one_and_the_one_after_it_is_not(make):
    for device in (False, True):
        history = make(1)
        history = as_on_a_device(history) if device else history
        rows = (torch.ones(1),) if isinstance(history, LossHistory) else (torch.eye(2)[:1],)
        rows += (torch.tensor([1]),) if isinstance(history, History) else ()
        history.record(torch.tensor([0]), *rows)
        assert history.count.tolist() == [1]
        with pytest.raises(InputError, match="index"):
            history.record(torch.tensor([1]), *rows)
            _ = history.count
        with pytest.raises(InputError, match="index"):
            history.record(torch.tensor([-1]), *rows)
            _ = history.count
        assert history.count.tolist() == [1]


@pytest.mark.parametrize("target", [-1, 0, 1, 2, 3])
def test_on_a_device_targets_are_classes_or_their_row_is_left_out(target):
    history = as_on_a_device(History(2))
    history.record(torch.tensor([0, 1]), torch.tensor([[0.0, 1.0, 3.0]] * 2), torch.tensor([target, 2]))
    if 0 <= target <= 2:
        shares = torch.tensor([0.0, 1.0, 3.0]).softmax(0)
        assert history.mean("probability").tolist() == pytest.approx(
            [float(shares[target]), float(shares[2])]
        )
        return
    with pytest.raises(InputError, match="targets: a batch"):
        history.mean("loss")
    assert history.count.tolist() == [0, 1]


def test_one_process_is_rank_0_of_one():
    alone = SharedHistory(History(2))
    assert (alone.rank, alone.ranks) == (0, 1)
