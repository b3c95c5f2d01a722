"""How far rounding may move a probability: taken as it is, repaired, or refused, at each documented edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headrace.ensembles import EnsembleStatistics
from headrace.ensembles._probabilities import row_blocks
from headrace.ensembles.statistics import _sum_dtype
from headrace.errors import InputError


def sums_of(row: list[float], **form) -> np.ndarray:
    """The sums after the row was added among two of whole ones, which take another path when alone."""
    statistics = EnsembleStatistics(3, len(row), **form)
    whole = [1.0] + [0.0] * (len(row) - 1)
    statistics.add_member(0, np.array([whole, row, whole]))
    assert statistics.probability_sum[0].tolist() == statistics.probability_sum[2].tolist() == whole
    return statistics.probability_sum[1].numpy()


@pytest.mark.parametrize("off", [0.0, 0.9e-4, -0.9e-4])
def test_a_sum_off_one_by_less_than_a_ten_thousandth_is_taken_as_it_is(off):
    assert sums_of([0.25, 0.75 + off]).tolist() == [0.25, 0.75 + off]


@pytest.mark.parametrize("off", [1.1e-4, -1.1e-4, 0.0099, -0.0099])
def test_a_sum_off_one_by_less_than_a_hundredth_is_divided_out(off):
    row = np.array([0.25, 0.75 + off])
    assert sums_of(row.tolist()) == pytest.approx(row / row.sum(), rel=1e-12)


@pytest.mark.parametrize("off", [0.0101, -0.0101, 0.5, 1.0, -0.5])
def test_a_sum_further_off_is_refused(off):
    with pytest.raises(
        InputError, match=r"example 1: (the probabilities do not sum|a probability is outside)"
    ):
        sums_of([0.25, 0.75 + off])


@pytest.mark.parametrize("multilabel", [False, True])
def test_numbers_outside_by_less_than_a_millionth_are_clipped_and_others_refused(multilabel):
    for value in (-0.9e-6, -1e-9):
        assert sums_of([value, 1.0, 0.0], multilabel=multilabel)[0] == 0
    for value in (-1.1e-6, -1e-3, -1.0):
        with pytest.raises(InputError, match="example 1: a probability is outside"):
            sums_of([value, 1.0, 0.0], multilabel=multilabel)


def test_yes_and_no_may_exceed_one_by_a_millionth_and_shares_by_a_hundredth():
    assert sums_of([1 + 0.9e-6, 0.2], multilabel=True).tolist() == [1.0, 0.2]
    assert sums_of([1.0, 1.0, 0.3], multilabel=True).tolist() == [1.0, 1.0, 0.3]
    with pytest.raises(InputError, match="outside"):
        sums_of([1 + 1.1e-6, 0.2], multilabel=True)
    assert sums_of([1.0099, 0.0]).tolist() == [1.0, 0.0]
    with pytest.raises(InputError, match="outside"):
        sums_of([1.0101, -0.5e-6])


@pytest.mark.parametrize(
    ("row", "fix"),
    [
        ([70.0, 29.5], "Divide percentages by 100"),
        ([70.0, 30.9], "Divide percentages by 100"),
        ([70.0, 31.1], "softmax"),
        ([70.0, 28.9], "softmax"),
        ([130.0, -30.0], "softmax"),
        ([100.0, 0.0], "Divide percentages by 100"),
        (np.log([0.7, 0.305]).tolist(), "log-probabilities"),
        (np.log([0.7, 0.32]).tolist(), "softmax"),
        ([0.0, -60.0], "log-probabilities"),
        ([2.0, -3.0], "softmax"),
    ],
)
def test_what_a_row_seems_to_be_is_said(row, fix):
    with pytest.raises(InputError, match=f"outside.*{fix}"):
        sums_of(row)


def test_the_first_bad_row_is_named_and_its_first_bad_number():
    rows = np.full((6, 3), 1 / 3)
    rows[2] = [0.5, 1.5, -1.0]
    rows[3:5] = [0.1, 0.2, 0.3]
    statistics = EnsembleStatistics(9, 3)
    with pytest.raises(InputError, match=r"member 'm', example 4: a probability is outside.*got 1\.5"):
        statistics.add_member(2, rows, member="m")
    with pytest.raises(InputError, match=r"member, example 4: the probabilities do not sum to one; got 0\.6"):
        statistics.add_member(2, np.delete(rows, 2, 0)[:4])


@pytest.mark.parametrize(
    ("shape", "classes", "one"),
    [
        ((3,), 2, True), ((3, 1), 2, True), ((3, 3), 2, False), ((1, 3), 2, False), ((3, 1, 1), 2, False),
        ((3, 2, 2), 2, False), ((3,), 3, False), ((3, 1), 3, False),
    ],
)  # fmt: skip
def test_one_number_for_yes_or_no_is_answered_with_how_to_make_it_two(shape, classes, one):
    with pytest.raises(InputError, match=r"must have the shape \[batch, ") as caught:
        EnsembleStatistics(3, classes).add_member(0, np.full(shape, 0.5))
    assert ("torch.stack" in str(caught.value)) == one


def test_the_first_bad_target_is_named():
    statistics = EnsembleStatistics(9, 3)
    with pytest.raises(InputError, match=r"example 5: a target must be within 0\.\.2; got 3"):
        statistics.add_member(3, np.full((6, 3), 1 / 3), [0, 2, 3, -1, 7, 1])
    with pytest.raises(InputError, match="6 integer classes"):
        statistics.add_member(3, np.full((6, 3), 1 / 3), np.zeros((6, 1), int))
    with pytest.raises(InputError, match="targets have no effect"):
        EnsembleStatistics(1, 2, multilabel=True).add_member(0, [[0.1, 0.9]], [1])


def test_examples_lie_within_those_there_are():
    row = np.full((2, 2), 0.5)
    statistics = EnsembleStatistics(4, 2)
    for start in (-1, 3, 4):
        with pytest.raises(InputError, match=r"within 0\.\.3"):
            statistics.add_member(start, row)
    statistics.add_member(2, row)
    statistics.add_member(0, row)
    assert statistics.members.tolist() == [1] * 4
    with pytest.raises(InputError, match="num_examples: must be at least 1"):
        EnsembleStatistics(0, 2)
    with pytest.raises(InputError, match="num_classes: must be at least 2"):
        EnsembleStatistics(1, 1)
    assert EnsembleStatistics(1, 1, multilabel=True).votes is None
    with pytest.raises(InputError, match="num_classes: must be at least 1"):
        EnsembleStatistics(1, 0, multilabel=True)


@pytest.mark.parametrize("elements", [1, 4, 7])
def test_blocks_cover_all_rows_once_and_hold_no_more_than_they_may(monkeypatch, elements):
    monkeypatch.setattr("headrace.ensembles._probabilities.BLOCK_ELEMENTS", elements)
    for rows in range(6):
        for columns in range(5):
            blocks = list(row_blocks(rows, columns))
            assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(rows))
            for block in blocks:
                assert (block.stop - block.start) * columns <= max(elements, columns)


def test_sums_are_exact_up_to_their_limit_and_precision_may_be_said(monkeypatch):
    monkeypatch.setattr("headrace.ensembles.statistics.FLOAT64_BYTES", 5 * 3 * 8)
    assert EnsembleStatistics(5, 3).probability_sum.dtype == torch.float64
    assert EnsembleStatistics(6, 3).probability_sum.dtype == torch.float32
    assert EnsembleStatistics(6, 3, precision="float64").probability_sum.dtype == torch.float64
    assert EnsembleStatistics(5, 3, precision="float32").probability_sum.dtype == torch.float32
    with pytest.raises(InputError, match=r"precision.*float16"):
        EnsembleStatistics(5, 3, precision="float16")


def test_sums_are_exact_up_to_two_gibibytes() -> None:
    assert _sum_dtype("auto", 1 << 28) == torch.float64
    assert _sum_dtype("auto", (1 << 28) + 1) == torch.float32


def test_a_device_without_float64_is_refused():
    with pytest.raises(InputError, match="device"):
        EnsembleStatistics(1, 2, device="mps")


@pytest.mark.parametrize("members", [1, 4, 30])
@pytest.mark.parametrize("name", ["probability_sum", "entropy_sum"])
def test_sums_of_a_state_may_be_off_by_a_hundredth_of_each_member(members: int, name: str) -> None:
    made = EnsembleStatistics(2, 3)
    for _ in range(members):
        made.add_member(0, [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    whole = made.state_dict()
    for part, sign in ((0, -1.0), (1, 1.0)) if name == "entropy_sum" else ((0, -1.0), (0, 1.0)):
        for off, taken in ((0.9, True), (1.1, False)):
            sums = whole["tensors"][name].clone()
            sums.view(2, -1)[part, 0] += sign * off * 0.01 * members
            state = whole | {"tensors": whole["tensors"] | {name: sums}}
            if taken:
                EnsembleStatistics.from_state_dict(state)
            else:
                with pytest.raises(InputError, match=name):
                    EnsembleStatistics.from_state_dict(state)


@pytest.mark.parametrize("name", ["members", "targeted", "errors"])
def test_counts_of_a_state_are_not_negative(name: str) -> None:
    made = EnsembleStatistics(3, 3)
    made.add_member(0, np.full((2, 3), 1 / 3), [0, 1])
    whole = made.state_dict()
    counts = whole["tensors"][name].clone()
    counts[2] = -1
    with pytest.raises(InputError, match=name):
        EnsembleStatistics.from_state_dict(whole | {"tensors": whole["tensors"] | {name: counts}})
