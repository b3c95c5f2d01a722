"""Histories against every observation stored, and the cases by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.histories import History, LossHistory
from headrace.histories.arrays import SMALL
from headrace.histories.observations import PREDICTION, observe
from headrace.histories.window import ring_places

from .brute import Batch, Stored, batches, record

N = 5


def expect(history: History, stored: Stored, window: int | None = None) -> None:
    """Every statistic of every example equals what the stored observations give."""
    keep = slice(None) if window is None else slice(-window, None)
    for example in range(N):
        values = {quantity: stored.column(example, quantity)[keep] for quantity in PREDICTION}
        count = len(stored.seen[example])
        assert history.count[example] == count
        assert history.size[example] == len(values["loss"])
        for quantity in PREDICTION:
            mean = values[quantity].mean() if count else 0.0
            assert float(history.mean(quantity)[example]) == pytest.approx(mean, rel=1e-5, abs=1e-5)
        for quantity in ("probability", "loss"):
            variance = values[quantity].var() if count else 0.0
            assert float(history.variance(quantity)[example]) == pytest.approx(variance, rel=1e-4, abs=2e-5)


def as_on_a_device(history: History) -> History:
    """The same history on the path of a device: in torch, never waiting, bad rows led away."""
    history._guard._on_host = False
    return history


@given(batches(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_growing_history_equals_all_observations_stored(sequence: list[Batch], device: bool) -> None:
    history, stored = History(N), Stored(N)
    history = as_on_a_device(history) if device else history
    for batch in sequence:
        record(history, batch)
        stored.record(*batch)
    expect(history, stored)
    lost = [stored.column(example, "lost").sum() for example in range(N)]
    np.testing.assert_array_equal(history.transitions(), lost)
    last = {i: stored.column(i, "loss")[-1] for i in range(N) if stored.seen[i]}
    for example in range(N):
        assert float(history.last_loss()[example]) == pytest.approx(
            last.get(example, 0.0), rel=1e-5, abs=1e-6
        )


@given(batches(), st.integers(2, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_windowed_history_equals_the_last_observations_stored(
    sequence: list[Batch], window: int, device: bool
) -> None:
    history, stored = History(N, window=window), Stored(N)
    history = as_on_a_device(history) if device else history
    for batch in sequence:
        record(history, batch)
        stored.record(*batch)
    expect(history, stored, window)
    for example in range(N):
        correct = stored.column(example, "correct")[-window:]
        assert history.transitions()[example] == np.sum((correct[:-1] == 1) & (correct[1:] == 0))
        loss = stored.column(example, "loss")
        assert float(history.last_loss()[example]) == pytest.approx(
            loss[-1] if len(loss) else 0.0, rel=1e-5, abs=1e-6
        )


@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=12), st.sampled_from([0.3, 0.5, 0.9]))
@settings(max_examples=50, deadline=None)
def test_a_fading_history_equals_explicit_weights(losses: list[float], decay: float) -> None:
    history = LossHistory(2, decay=decay)
    for loss in losses:
        history.record(torch.tensor([1]), torch.tensor([loss]))
    weights = decay ** np.arange(len(losses))[::-1]
    mean = np.average(losses, weights=weights)
    assert float(history.mean("loss")[1]) == pytest.approx(mean, rel=1e-4, abs=1e-4)
    variance = np.average((np.array(losses) - mean) ** 2, weights=weights)
    assert float(history.variance("loss")[1]) == pytest.approx(variance, rel=1e-3, abs=1e-3)
    assert float(history.size[1]) == pytest.approx(weights.sum() ** 2 / (weights**2).sum(), rel=1e-4)
    assert history.count.tolist() == [0, len(losses)]


def test_occurrences_in_one_batch_of_a_fading_history_weigh_alike() -> None:
    history = LossHistory(1, decay=0.5)
    history.record(torch.tensor([0]), torch.tensor([4.0]))
    history.record(torch.tensor([0, 0]), torch.tensor([1.0, 3.0]))
    assert float(history.mean("loss")[0]) == pytest.approx((0.5 * 4 + 1 + 3) / 2.5)


def test_places_in_a_ring_by_hand() -> None:
    """Example 7 occurs three times in a ring of two: its first occurrence would be overwritten."""
    index = torch.tensor([7, 4, 7, 7])
    place, overwritten = ring_places(torch.tensor([5.0, 0.0, 5.0, 5.0]), index, 2)
    assert place.tolist() == [1, 0, 0, 1]
    assert overwritten.tolist() == [True, False, False, False]


def logits_for(correct: bool) -> torch.Tensor:
    return torch.tensor([[1.0, 0.0]] if correct else [[0.0, 1.0]])


def test_forgetting_is_counted_from_correct_to_wrong_only() -> None:
    history = History(1)
    for correct in (False, True, False, False, True, True, False):
        history.record(torch.tensor([0]), logits_for(correct), torch.tensor([0]))
    assert history.transitions().tolist() == [2]


def test_occurrences_in_one_batch_are_compared_with_the_state_before_it() -> None:
    history = History(1)
    history.record(torch.tensor([0]), logits_for(True), torch.tensor([0]))
    both = torch.cat((logits_for(False), logits_for(False)))
    history.record(torch.tensor([0, 0]), both, torch.tensor([0, 0]))
    assert history.transitions().tolist() == [2]


def test_a_tie_counts_as_wrong() -> None:
    assert observe(torch.zeros(1, 3), torch.tensor([0]))[2, 0] == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_any_precision_are_computed_in_float32(dtype: torch.dtype) -> None:
    logits = torch.tensor([[3.0, -9.0, 0.5], [20.0, 0.0, 12.0]])
    rough, history = logits.to(dtype), History(2)
    history.record(torch.tensor([0, 1]), rough, torch.tensor([1, 0]))
    p = rough.double().softmax(1)
    np.testing.assert_allclose(history.mean("probability"), [p[0, 1], p[1, 0]], rtol=2e-5)
    np.testing.assert_allclose(history.mean("loss"), [-p[0, 1].log(), -p[1, 0].log()], rtol=2e-5, atol=1e-6)


def test_a_nearly_certain_prediction_keeps_its_small_el2n() -> None:
    logits = torch.tensor([[12.0, 0.0, 0.0]])
    p = logits.double().softmax(1)[0]
    exact = float(((p[0] - 1) ** 2 + p[1] ** 2 + p[2] ** 2).sqrt())
    assert float(observe(logits, torch.tensor([0]))[4, 0]) == pytest.approx(exact, rel=0.01)


def test_the_variance_of_near_constant_probabilities_is_kept_over_many_observations() -> None:
    """Sums of squares in float32 would lose it: the deviation is a thousandth of the mean."""
    losses = 5.0 + 0.005 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
    history = LossHistory(1)
    for loss in losses:
        history.record(torch.tensor([0]), loss.reshape(1))
    assert float(history.variance("loss")[0]) == pytest.approx(
        float(losses.double().var(correction=0)), rel=0.01
    )


def test_recording_leaves_gradients_and_logits_alone() -> None:
    history, logits = History(3), torch.randn(2, 4, requires_grad=True)
    before = logits.detach().clone()
    history.record(torch.tensor([0, 2]), logits, torch.tensor([1, 3]))
    logits.sum().backward()
    assert torch.equal(logits.grad, torch.ones(2, 4))
    assert torch.equal(logits.detach(), before)
    assert not history.mean("loss").requires_grad


@pytest.mark.parametrize("form", [{}, {"decay": 0.5}, {"window": 2}])
@pytest.mark.parametrize(("index", "target", "where"), [(-1, 0, "index"), (3, 0, "index"), (1, 2, "targets")])
def test_on_a_device_a_bad_row_is_left_out_and_told_when_the_history_is_read(
    form: dict, index: int, target: int, where: str
) -> None:
    history, clean = as_on_a_device(History(3, **form)), History(3, **form)
    logits = torch.randn(3, 2)
    history.record(torch.tensor([0, index, 2]), logits, torch.tensor([0, target, 1]))
    clean.record(torch.tensor([0, 2]), logits[[0, 2]], torch.tensor([0, 1]))
    with pytest.raises(InputError, match=f"{where}: a batch recorded since the last reading"):
        history.mean("loss")
    torch.testing.assert_close(history.mean("loss"), clean.mean("loss"))
    assert history.count.tolist() == [1, 0, 1]


def test_on_a_device_padding_may_hold_anything() -> None:
    history = as_on_a_device(History(3))
    keep = torch.tensor([True, False, False])
    history.record(torch.tensor([0, 7, 1]), torch.randn(3, 2), torch.tensor([0, 1, -100]), keep=keep)
    assert history.count.tolist() == [1, 0, 0]


@pytest.mark.parametrize("form", [{}, {"decay": 0.9}, {"window": 3}])
@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
def test_the_path_of_a_device_gives_the_same_table_and_waits_for_nothing(device: str, form: dict) -> None:
    there, here = as_on_a_device(History(50, device=device, **form)), History(50, **form)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        index = torch.randint(0, 50, (32,), generator=generator)
        logits, targets = torch.randn(32, 4, generator=generator), index % 4
        here.record(index, logits, targets)
        on_device = logits.to(device), targets.to(device)
        with nothing_waits():
            there.record(index, *on_device)
    torch.testing.assert_close(there.state_dict()["table"].cpu(), here.state_dict()["table"])


@contextmanager
def nothing_waits() -> Iterator[None]:
    """On a machine with a GPU: raise where the host would wait for it."""
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_logits_that_are_not_finite_raise_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    history = History(2)
    logits = torch.tensor([[float("inf"), 0.0], [1.0, 0.0]])
    history.record(torch.tensor([0, 1]), logits, torch.tensor([0, 0]))
    assert not recwarn.list
    assert torch.isnan(history.mean("loss")).tolist() == [True, False]


def test_rows_that_are_not_to_count_leave_no_trace() -> None:
    history = History(3)
    index, targets = torch.tensor([0, 1, 1]), torch.tensor([0, 1, -100])
    history.record(index, torch.randn(3, 2), targets, keep=torch.tensor([True, True, False]))
    assert history.count.tolist() == [1, 1, 0]


def test_a_large_batch_gives_the_same_as_its_pieces() -> None:
    """Large batches take torch's path on the host, small ones NumPy's."""
    whole, pieces = History(3000), History(3000)
    logits, index = torch.randn(3000, 20), torch.randperm(3000)
    assert logits.numel() > SMALL
    whole.record(index, logits, index % 20)
    for part in range(0, 3000, 500):
        rows = slice(part, part + 500)
        pieces.record(index[rows], logits[rows], index[rows] % 20)
    torch.testing.assert_close(
        whole.state_dict()["table"], pieces.state_dict()["table"], rtol=1e-5, atol=1e-6
    )
    with pytest.raises(InputError, match="out of range"):
        whole.record(index + 1, logits, index % 20)


def test_an_empty_batch_changes_nothing() -> None:
    for history in (History(3), History(3, window=2)):
        history.record(
            torch.tensor([], dtype=torch.int64), torch.zeros(0, 2), torch.tensor([], dtype=torch.int64)
        )
        assert history.count.tolist() == [0, 0, 0]


def test_at_most_64_bytes_an_example() -> None:
    assert History(1).bytes_per_example <= 64
    assert History(1, decay=0.9).bytes_per_example <= 64
    assert History(1, window=5).bytes_per_example <= 64
    assert LossHistory(1).bytes_per_example <= 32


FORMS = [{}, {"decay": 0.9}, {"window": 3}]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [-1, 4, 2**40])
def test_an_index_out_of_range_is_refused_and_nothing_is_changed(form: dict, bad: int) -> None:
    history = History(4, **form)
    with pytest.raises(InputError, match=rf"index: out of range, 4 are known; got {bad}\. Use 0 \.\. 3"):
        history.record(torch.tensor([0, bad]), torch.randn(2, 3), torch.tensor([0, 1]))
    assert history.count.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("bad", [-100, 3])
def test_a_class_out_of_range_is_refused_and_nothing_is_changed(bad: int) -> None:
    history = History(4)
    with pytest.raises(InputError, match=r"targets: out of range, 3 are known.*mark padding with keep"):
        history.record(torch.tensor([0, 1]), torch.randn(2, 3), torch.tensor([0, bad]))
    assert history.count.tolist() == [0, 0, 0, 0]


def test_another_number_of_classes_is_refused() -> None:
    history = History(4)
    history.record(torch.tensor([0]), torch.randn(1, 3), torch.tensor([0]))
    with pytest.raises(InputError, match="the logits have 5 classes, those before had 3"):
        history.record(torch.tensor([0]), torch.randn(1, 5), torch.tensor([0]))


@pytest.mark.parametrize(
    ("index", "logits", "targets", "message"),
    [
        (
            torch.tensor([0]),
            torch.randn(1),
            torch.tensor([0]),
            r"logits: must be a floating tensor \[batch, classes\]",
        ),
        (
            torch.tensor([0]),
            torch.randint(0, 2, (1, 3)),
            torch.tensor([0]),
            "must be a floating tensor.*got \\(\\(1, 3\\), .torch.int64",
        ),
        (torch.tensor([0.0]), torch.randn(1, 3), torch.tensor([0]), "index: an integer tensor"),
        (
            torch.tensor([0, 1]),
            torch.randn(1, 3),
            torch.tensor([0]),
            "index: an integer tensor with one entry",
        ),
        (torch.tensor([0]), torch.randn(1, 3), torch.randn(1, 3), "targets: an integer tensor"),
        (torch.tensor([0]), torch.randn(1, 1), torch.tensor([0]), "at least two classes.*LossHistory"),
        (torch.tensor([0]), torch.randn(1, 3, device="meta"), torch.tensor([0]), "history is on cpu"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    index: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        History(4).record(index, logits, targets)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_examples": 0}, "num_examples: must be at least 1; got 0"),
        ({"num_examples": 4, "window": 1}, "window: must be at least 2"),
        ({"num_examples": 4, "decay": 1.0}, "decay: must be a finite number above 0 and below 1"),
        ({"num_examples": 4, "decay": 0.5, "window": 3}, "not both"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        History(**settings)


def test_losses_alone_refuse_what_needs_predictions_and_say_why() -> None:
    history = LossHistory(2)
    history.record(torch.tensor([0, 0, 1]), torch.tensor([1.0, 3.0, 5.0]))
    assert history.mean("loss").tolist() == [2.0, 5.0]
    assert history.variance("loss").tolist() == [1.0, 0.0]
    assert history.last_loss().tolist() == [3.0, 5.0]
    with pytest.raises(InputError, match=r"probability needs the predicted probabilities.*losses only"):
        history.mean("probability")
    with pytest.raises(InputError, match="losses only"):
        history.transitions()
    with pytest.raises(InputError, match="out of range"):
        history.record(torch.tensor([2]), torch.tensor([1.0]))
    with pytest.raises(InputError, match=r"losses: must be a floating tensor \[batch\]"):
        history.record(torch.tensor([0]), torch.tensor(1.0))
