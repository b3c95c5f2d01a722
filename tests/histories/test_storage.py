"""Histories saved, loaded, merged and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import save_file

from headrace.errors import DamagedError, InputError
from headrace.histories import History, LabelWindow, LossHistory, fingerprint, storage

from .brute import Batch, Stored, batches, record
from .test_history import expect

FORMS = [{}, {"decay": 0.9}, {"window": 3}]
N = 5


def some(seed: int, **form: object) -> History:
    history = History(N, **form)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(4):
        index = torch.randint(0, N - 1, (6,), generator=generator)
        history.record(index, torch.randn(6, 3, generator=generator), index % 3)
    return history


def table(history: History) -> torch.Tensor:
    return history.state_dict()["table"]


@given(batches(), batches())
@settings(max_examples=40, deadline=None)
def test_merged_histories_equal_one_that_saw_both(first: list[Batch], second: list[Batch]) -> None:
    one, other, stored = History(N), History(N), Stored(N)
    for history, sequence in ((one, first), (other, second)):
        for batch in sequence:
            record(history, batch)
            stored.record(*batch)
    alone = one.transitions() + other.transitions()
    one.merge(other)
    expect(one, stored)
    assert torch.equal(one.transitions(), alone)


@given(batches(), batches())
@settings(max_examples=40, deadline=None)
def test_merged_windows_keep_the_last_observations_of_both(first: list[Batch], second: list[Batch]) -> None:
    one, other, all_at_once = History(N, window=3), History(N, window=3), History(N, window=3)
    for history, sequence in ((one, first), (other, second)):
        for batch in sequence:
            record(history, batch)
            record(all_at_once, batch)
    one.merge(other)
    assert torch.equal(table(one), table(all_at_once))


@pytest.mark.parametrize("form", FORMS)
def test_merging_with_an_empty_history_changes_nothing(form: dict) -> None:
    history = some(0, **form)
    before = table(history)
    history.merge(History(N, **form))
    torch.testing.assert_close(table(history), before)
    empty = History(N, **form).merge(some(0, **form))
    torch.testing.assert_close(table(empty), before)
    assert empty.num_classes == 3


def test_a_history_is_not_merged_with_itself() -> None:
    history = some(0)
    with pytest.raises(InputError, match="count everything twice"):
        history.merge(history)


@pytest.mark.parametrize("form", FORMS)
def test_a_history_that_was_saved_goes_on_exactly(form: dict, tmp_path: Path) -> None:
    whole, half = some(0, **form), some(0, **form)
    half.save(tmp_path / "history.safetensors")
    half = History.load(tmp_path / "history.safetensors")
    through_state = History(N, **form)
    through_state.load_state_dict(whole.state_dict())
    batch = ([0, 1, 1, 4], np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32), [0, 1, 2, 0])
    for history in (whole, half, through_state):
        record(history, batch)
    assert torch.equal(table(whole), table(half))
    assert torch.equal(table(whole), table(through_state))
    assert list(tmp_path.iterdir()) == [tmp_path / "history.safetensors"]


def test_the_state_is_a_copy() -> None:
    history = some(0)
    state = history.state_dict()
    before = state["table"].clone()
    record(history, ([0], np.zeros((1, 3), np.float32), [0]))
    assert torch.equal(state["table"], before)


def test_a_history_of_another_data_set_is_refused(tmp_path: Path) -> None:
    mine, theirs = fingerprint(np.arange(5)), fingerprint(np.arange(1, 6))
    history = History(N, fingerprint=mine)
    history.save(tmp_path / "h")
    assert History.load(tmp_path / "h", fingerprint=mine).fingerprint == mine
    with pytest.raises(InputError, match="another data set: its fingerprint"):
        History.load(tmp_path / "h", fingerprint=theirs)
    with pytest.raises(InputError, match="another data set: its num_examples is 5, here it is 6"):
        History(6).load_state_dict(history.state_dict())
    with pytest.raises(InputError, match="merge: a history of another data set"):
        History(N, fingerprint=theirs).merge(history)


def test_a_history_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another form: its window is 3, here it is None"):
        History(N).load_state_dict(History(N, window=3).state_dict())
    LossHistory(N).save(tmp_path / "losses")
    with pytest.raises(InputError, match="holds losses, not predictions"):
        History.load(tmp_path / "losses")


def test_a_truncated_or_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "h"
    some(0).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DamagedError, match="not a whole safetensors file"):
        History.load(path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DamagedError, match="checksum"):
        History.load(path)
    save_file({"table": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not a history"):
        History.load(path)
    with pytest.raises(InputError, match="the file does not exist"):
        History.load(tmp_path / "absent")


def test_the_fingerprint_tells_contents_types_and_shapes_apart() -> None:
    arrays = [np.arange(4), np.arange(4, dtype=np.int32), np.arange(4).reshape(2, 2), np.arange(4)[::-1]]
    assert len({fingerprint(array) for array in arrays}) == 4
    assert fingerprint(torch.arange(4)) == fingerprint(np.arange(4))


@pytest.mark.parametrize("form", FORMS)
def test_the_exported_table_holds_what_the_history_says(form: dict, tmp_path: Path) -> None:
    history = some(0, **form)
    history.to_parquet(tmp_path / "history.parquet")
    frame = pl.read_parquet(tmp_path / "history.parquet")
    assert frame["example"].to_list() == list(range(N))
    np.testing.assert_array_equal(frame["count"], history.count)
    np.testing.assert_array_equal(frame["margin_mean"], history.mean("margin"))
    np.testing.assert_array_equal(frame["probability_variance"], history.variance("probability"))
    np.testing.assert_array_equal(frame["transitions"], history.transitions())


def test_losses_are_exported_without_what_they_lack(tmp_path: Path) -> None:
    history = LossHistory(2)
    history.record(torch.tensor([1]), torch.tensor([2.5]))
    history.to_parquet(tmp_path / "losses.parquet")
    columns = pl.read_parquet(tmp_path / "losses.parquet").columns
    assert columns == ["example", "count", "size", "loss_mean", "loss_variance", "last_loss"]


def one_hot(labels: list[int], classes: int = 4) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def test_the_entropy_of_a_label_window_by_hand() -> None:
    window = LabelWindow(3, 4, window=4)
    window.record(torch.tensor([0, 0, 0, 0, 0, 1]), one_hot([3, 0, 0, 1, 2, 3]))
    # The first label of example 0 has left the window: 0, 0, 1, 2 remain.
    expected = -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25))
    np.testing.assert_allclose(window.entropy(), [expected, 0.0, 0.0], atol=1e-6)
    assert window.count.tolist() == [5, 1, 0]


@given(batches(classes=4))
@settings(max_examples=40, deadline=None)
def test_the_entropy_of_a_label_window_equals_that_of_the_stored_labels(sequence: list[Batch]) -> None:
    window = LabelWindow(N, 4, window=3)
    stored: list[list[int]] = [[] for _ in range(N)]
    for index, logits, _ in sequence:
        window.record(torch.tensor(index), torch.from_numpy(logits))
        for example, row in zip(index, logits, strict=True):
            stored[example].append(int(row.argmax()))
    for example, labels in enumerate(stored):
        shares = np.unique(labels[-3:], return_counts=True)[1] / max(1, len(labels[-3:]))
        assert float(window.entropy()[example]) == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-5)


@given(batches(classes=4))
@settings(max_examples=40, deadline=None)
def test_the_most_frequent_label_is_that_of_the_stored_labels(sequence: list[Batch]) -> None:
    """Of equals the lowest; -1, which is no label, where none was recorded."""
    window = LabelWindow(N, 4, window=3)
    stored: list[list[int]] = [[] for _ in range(N)]
    for index, logits, _ in sequence:
        window.record(torch.tensor(index), torch.from_numpy(logits))
        for example, row in zip(index, logits, strict=True):
            stored[example].append(int(row.argmax()))
    expected = [int(np.bincount(labels[-3:]).argmax()) if labels else -1 for labels in stored]
    assert window.most_frequent().tolist() == expected
    assert window.count.tolist() == [len(labels) for labels in stored]


def test_a_label_window_goes_on_from_its_state_and_refuses_another_form() -> None:
    window, other = LabelWindow(3, 4), LabelWindow(3, 4)
    window.record(torch.tensor([0, 0, 1]), one_hot([1, 2, 3]))
    other.load_state_dict(window.state_dict())
    assert torch.equal(other.entropy(), window.entropy())
    with pytest.raises(InputError, match="window"):
        LabelWindow(3, 4, window=2).load_state_dict(window.state_dict())
    with pytest.raises(InputError, match="num_classes: must be 2 to 256"):
        LabelWindow(3, 257)
    with pytest.raises(InputError, match="out of range, 3 are known"):
        window.record(torch.tensor([3]), one_hot([0]))
    with pytest.raises(InputError, match="2 classes, 4 were announced"):
        window.record(torch.tensor([0]), torch.zeros(1, 2))


@pytest.mark.parametrize("key", ["num_examples", "window", "kind"])
def test_a_header_that_lacks_a_key_says_which(tmp_path: Path, key: str) -> None:
    made = History(4)
    about = {name: value for name, value in storage.description(made).items() if name != key}
    storage.write(tmp_path / "h", about, made.table.tensor)
    with pytest.raises(
        DamagedError, match=rf"the header of the history was altered \({key}: Field required\)"
    ):
        History.load(tmp_path / "h")
