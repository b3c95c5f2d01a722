from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.workloads.labelled import Labelled, flip_labels, split, stratified_split


@given(
    targets=st.lists(st.integers(0, 4), min_size=3, max_size=80),
    share=st.floats(0, 1),
    name=st.sampled_from(["a", "b"]),
)
def test_a_split_is_disjoint_and_covers_all(targets: list[int], share: float, name: str) -> None:
    first = 1 + int(share * (len(targets) - 3))
    sizes = (first, 1, len(targets) - first - 1)
    parts = stratified_split(np.array(targets), sizes, name)
    assert tuple(map(len, parts)) == sizes
    assert sorted(np.concatenate(parts)) == list(range(len(targets)))
    assert all((np.diff(part) > 0).all() for part in parts)


@given(per_class=st.integers(10, 60), classes=st.integers(2, 6))
def test_each_part_has_its_share_of_each_class(per_class: int, classes: int) -> None:
    targets = np.repeat(np.arange(classes), per_class)
    total = len(targets)
    sizes = (total - 2 * (total // 5), total // 5, total // 5)
    for part, size in zip(stratified_split(targets, sizes, "x"), sizes, strict=True):
        counts = np.bincount(targets[part], minlength=classes)
        # Either end of a stretch may cut one example of a class too many or too few.
        assert np.abs(counts - size / classes).max() < 2


def test_rare_classes_are_spread_and_not_left_to_one_part() -> None:
    targets = np.array([0] * 980 + [1] * 20)
    train, held = stratified_split(targets, (500, 500), "rare")
    assert (targets[train] == 1).sum() == (targets[held] == 1).sum() == 10


def test_the_split_is_always_the_same_and_follows_its_name() -> None:
    targets = np.arange(100) % 3
    again = stratified_split(targets, (60, 40), "a")[0]
    assert np.array_equal(stratified_split(targets, (60, 40), "a")[0], again)
    assert not np.array_equal(stratified_split(targets, (60, 40), "b")[0], again)


def test_the_split_depends_on_no_order_of_classes() -> None:
    """Whether an example is held out is a matter of chance, not of its place in its class."""
    targets = np.repeat(np.arange(2), 500)
    held = stratified_split(targets, (800, 200), "place")[1]
    places = np.concatenate([held[targets[held] == 0], held[targets[held] == 1] - 500])
    assert 200 < places.mean() < 300


@pytest.mark.parametrize("sizes", [(5, 4), (5, 6), (10, 0), (11, -1)])
def test_sizes_that_do_not_add_up_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="add up to 10"):
        stratified_split(np.zeros(10, dtype=int), sizes)


def test_inputs_follow_their_targets_through_a_split() -> None:
    whole = Labelled(inputs=torch.arange(50.0)[:, None], targets=torch.arange(50) % 7)
    for part in split(whole, (30, 20), "follow"):
        assert torch.equal(part.inputs[:, 0].long() % 7, part.targets)


@settings(max_examples=25)
@given(fraction=st.floats(0, 0.99), classes=st.integers(2, 10))
def test_exactly_the_fraction_of_labels_is_flipped_to_another_class(fraction: float, classes: int) -> None:
    clean = torch.arange(200) % classes
    before = clean.clone()
    noisy = flip_labels(clean, classes, fraction, "x")
    assert int((noisy != clean).sum()) == round(fraction * 200)
    assert int(noisy.min()) >= 0
    assert int(noisy.max()) < classes
    assert torch.equal(clean, before)


def test_flipped_labels_fall_on_the_other_classes_alike() -> None:
    noisy = flip_labels(torch.zeros(30_000, dtype=torch.int64), 4, 0.99, "uniform")
    counts = noisy.bincount(minlength=4)
    assert int(counts[0]) == 300
    # Standard deviation of a count: sqrt(29700 * 1/3 * 2/3) = 81.
    assert (counts[1:] - 9900).abs().max() < 5 * 81


def test_flipped_examples_are_drawn_from_all_places() -> None:
    flipped = flip_labels(torch.zeros(10_000, dtype=torch.int64), 2, 0.2, "places").nonzero().double().mean()
    assert abs(float(flipped) - 5000) < 5 * 10_000 / (12 * 2000) ** 0.5


@pytest.mark.parametrize(
    ("inputs", "targets", "classes", "message"),
    [
        (3, [0, 1], None, "3 inputs but 2 targets"),
        (2, [0, -1], None, "counted from 0; number 1 is -1. Leave out the 1 examples"),
        (2, [0, 2], ("a", "b"), "there are 2 names of classes"),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    inputs: int, targets: list[int], classes: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Labelled(inputs=torch.zeros(inputs, 1), targets=torch.tensor(targets), classes=classes)
