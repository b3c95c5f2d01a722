"""Statistics and acquisition functions against all members x examples x classes at once, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.ensembles import EnsembleStatistics, acquisition
from headrace.errors import DamagedError, InputError
from headrace.random import generator


def members_of(seed: int, members: int, examples: int, classes: int) -> np.ndarray:
    """Probabilities [members, examples, classes] with zeros, ties and one-hot rows among them."""
    rng = generator(seed, "members")
    p = rng.dirichlet(np.full(classes, 0.3), size=(members, examples))
    p[rng.random((members, examples)) < 0.1] = 1 / classes
    onehot = rng.random((members, examples)) < 0.1
    p[onehot] = np.eye(classes)[rng.integers(classes, size=int(onehot.sum()))]
    return p


def plogp(p: np.ndarray) -> np.ndarray:
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0)


def brute_force(p: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Every acquisition function by its definition."""
    members, _, classes = p.shape
    mean = p.mean(0)
    entropy = -plogp(mean).sum(1)
    votes = p.argmax(2)
    counts = np.stack([(votes == c).sum(0) for c in range(classes)], 1)
    ordered = np.sort(mean, 1)
    return {
        "entropy": entropy,
        "mutual_information": np.maximum(entropy + plogp(p).sum(2).mean(0), 0),
        "variation_ratio": 1 - counts.max(1) / members,
        "error_count": (votes != targets).mean(0),
        "margin": 1 - (ordered[:, -1] - ordered[:, -2]),
        "least_confidence": 1 - mean.max(1),
    }


def assert_scores(statistics: EnsembleStatistics, expected: dict[str, np.ndarray], tolerance=1e-12) -> None:
    for name, scores in expected.items():
        got = acquisition.FUNCTIONS[name](statistics)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, scores, rtol=0, atol=tolerance, err_msg=name)


sizes = st.tuples(
    st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 7), st.sampled_from([2, 3, 5, 40, 300])
)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_acquisition_equals_brute_force(size):
    seed, members, examples, classes = size
    p = members_of(seed, members, examples, classes)
    targets = generator(seed, "targets").integers(classes, size=examples)
    statistics = EnsembleStatistics(examples, classes)
    for member in p:
        statistics.add_member(0, member, targets)
    assert_scores(statistics, brute_force(p, targets))


@settings(max_examples=40, deadline=None)
@given(sizes, st.data())
def test_any_split_into_shards_in_any_order_merges_to_the_same(size, data):
    seed, members, examples, classes = size
    p = members_of(seed, members, examples, classes)
    targets = generator(seed, "targets").integers(classes, size=examples)
    cut = data.draw(st.integers(0, examples))
    pieces = [(m, a, b) for m in range(members) for a, b in ((0, cut), (cut, examples)) if a < b]
    shards = [EnsembleStatistics(examples, classes) for _ in range(3)]
    for m, a, b in data.draw(st.permutations(pieces)):
        shard = shards[data.draw(st.integers(0, 2))]
        shard.add_member(a, p[m, a:b], targets[a:b], member=str(m))
    first, second, third = data.draw(st.permutations(shards))
    merged = (
        first.merge(second.merge(third)) if data.draw(st.booleans()) else first.merge(second).merge(third)
    )
    assert_scores(merged, brute_force(p, targets))
    assert all(merged.missing(str(m)) == () for m in range(members))


def test_hand_case():
    statistics = EnsembleStatistics(1, 2)
    statistics.add_member(0, [[1.0, 0.0]], [1])
    statistics.add_member(0, [[0.0, 1.0]], [1])
    statistics.add_member(0, [[0.5, 0.5]], [1])
    assert acquisition.entropy(statistics) == pytest.approx([np.log(2)])
    assert acquisition.mutual_information(statistics) == pytest.approx([np.log(2) * 2 / 3])
    # The tie of the third member is a vote for the first class.
    assert acquisition.variation_ratio(statistics) == pytest.approx([1 / 3])
    assert acquisition.error_count(statistics) == pytest.approx([2 / 3])
    assert acquisition.margin(statistics) == pytest.approx([1])
    assert acquisition.least_confidence(statistics) == pytest.approx([0.5])


@pytest.mark.parametrize("name", acquisition.FUNCTIONS)
def test_higher_is_more_uncertain_for_every_function(name):
    certain, doubtful, split = [0.98, 0.01, 0.01], [0.4, 0.35, 0.25], [0.01, 0.98, 0.01]
    statistics = EnsembleStatistics(2, 3)
    statistics.add_member(0, [certain, certain], [0, 0])
    statistics.add_member(0, [certain, split], [0, 0])
    statistics.add_member(0, [certain, doubtful], [0, 0])
    scores = acquisition.FUNCTIONS[name](statistics)
    assert scores[1] > scores[0]


def test_variation_ratio_counts_votes_not_probabilities():
    statistics = EnsembleStatistics(1, 2)
    for _ in range(3):
        statistics.add_member(0, [[0.51, 0.49]])
    assert acquisition.variation_ratio(statistics) == [0]
    assert acquisition.least_confidence(statistics) == pytest.approx([0.49])


def test_more_than_255_members_do_not_overflow_the_votes():
    for classes in (2, 4000):
        row = np.zeros((1, classes))
        row[0, classes - 1] = 1
        statistics = EnsembleStatistics(1, classes)
        for _ in range(300):
            statistics.add_member(0, row)
        merged = EnsembleStatistics(1, classes).merge(statistics).merge(statistics)
        assert acquisition.variation_ratio(statistics) == [0]
        assert acquisition.variation_ratio(merged) == [0]


def test_multilabel_entropy_and_mutual_information_are_sums_of_bernoullis():
    p = generator(0, "bernoulli").random((6, 9, 4))
    p[0, 0] = [0, 1, 0, 1]
    statistics = EnsembleStatistics(9, 4, multilabel=True)
    for member in p:
        statistics.add_member(0, member)

    def bernoulli(q):
        return -(plogp(q) + plogp(1 - q)).sum(-1)

    np.testing.assert_allclose(acquisition.entropy(statistics), bernoulli(p.mean(0)), atol=1e-12)
    expected = bernoulli(p.mean(0)) - bernoulli(p).mean(0)
    np.testing.assert_allclose(acquisition.mutual_information(statistics), expected, atol=1e-12)
    for name in ("variation_ratio", "margin", "least_confidence"):
        with pytest.raises(InputError):
            acquisition.FUNCTIONS[name](statistics)


def test_float32_sums_stay_close_and_take_half(monkeypatch):
    p = members_of(3, 10, 50, 30)
    targets = np.zeros(50, int)
    exact, small = EnsembleStatistics(50, 30), EnsembleStatistics(50, 30, precision="float32")
    for member in p:
        exact.add_member(0, member)
        small.add_member(0, member, targets)
    assert small.probability_sum.dtype == torch.float32
    assert_scores(small, brute_force(p, targets), tolerance=1e-5)
    monkeypatch.setattr("headrace.ensembles.statistics.FLOAT64_BYTES", 50 * 30 * 8 - 1)
    assert EnsembleStatistics(50, 30).probability_sum.dtype == torch.float32
    assert exact.probability_sum.dtype == torch.float64


def test_inputs_of_any_kind_give_the_same_and_are_not_altered():
    p = members_of(1, 1, 6, 4)[0]
    frozen = p.copy()
    frozen.flags.writeable = False
    results = []
    for kind in (p, frozen, p[::-1][::-1], torch.from_numpy(p.copy()), np.asfortranarray(p), p.tolist()):
        statistics = EnsembleStatistics(6, 4)
        statistics.add_member(0, kind)
        results.append(acquisition.entropy(statistics))
    assert all(np.array_equal(results[0], other) for other in results)
    assert np.array_equal(p, frozen)


def test_saved_statistics_go_on_where_they_stopped(tmp_path: Path):
    for classes in (3, 200):
        p = members_of(2, 3, 8, classes)
        targets = np.arange(8) % 3
        half = EnsembleStatistics(8, classes)
        half.add_member(0, p[0], targets, member="a")
        half.add_member(0, p[1, :5], targets[:5], member="b")
        half.save(tmp_path / "part")
        assert half.content() == (tmp_path / "part").read_bytes()
        loaded = EnsembleStatistics.load(tmp_path / "part")
        assert loaded.missing("a") == ()
        assert loaded.missing("b") == ((5, 8),)
        assert loaded.missing("c") == ((0, 8),)
        loaded.add_member(5, p[1, 5:], targets[5:], member="b")
        loaded.add_member(0, p[2], targets, member="c")
        assert_scores(loaded, brute_force(p, targets))
        assert [f.name for f in tmp_path.iterdir()] == ["part"]


def test_a_truncated_file_is_said_to_be_damaged(tmp_path: Path):
    statistics = EnsembleStatistics(4, 3)
    statistics.save(tmp_path / "part")
    data = (tmp_path / "part").read_bytes()
    (tmp_path / "part").write_bytes(data[:-10])
    with pytest.raises(DamagedError, match="part"):
        EnsembleStatistics.load(tmp_path / "part")
    with pytest.raises(InputError, match="the file does not exist"):
        EnsembleStatistics.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 0.5], [np.nan, 1.0]], "member 'm', example 3: a probability is NaN"),
        ([[0.5, 0.5], [0.5, 0.4]], "member 'm', example 3: the probabilities do not sum to one; got 0.9"),
        ([[0.5, 0.5], [1.5, -0.5]], "member 'm', example 3: a probability is outside 0..1; got 1.5"),
        ([[0.5, 0.5], [np.inf, 0.5]], "member 'm', example 3: a probability is outside 0..1; got inf"),
        ([[0.5, 0.3, 0.2]], r"member 'm': probabilities must have the shape \[batch, 2\].*got \(1, 3\)"),
        ([[1, 0]], "member 'm': probabilities must be floating-point"),
        ([[0.5, 0.5]] * 5, r"member 'm': the examples must be within 0..5; got 'examples 2..6'"),
    ],
)
def test_bad_probabilities_are_refused_and_nothing_is_added(rows, message):
    statistics = EnsembleStatistics(6, 2)
    with pytest.raises(InputError, match=message):
        statistics.add_member(2, np.array(rows), member="m")
    assert int(statistics.members.sum()) == 0
    assert statistics.missing("m") == ((0, 6),)


def test_a_bad_row_in_a_late_block_adds_nothing(monkeypatch):
    monkeypatch.setattr("headrace.ensembles._probabilities.BLOCK_ELEMENTS", 4)
    rows = np.full((10, 2), 0.5)
    rows[7] = [0.9, 0.9]
    statistics = EnsembleStatistics(10, 2)
    with pytest.raises(InputError, match="example 7"):
        statistics.add_member(0, rows)
    assert float(statistics.probability_sum.sum()) == 0
    rows[7] = [0.1, 0.9]
    statistics.add_member(0, rows, np.ones(10, int))
    assert_scores(statistics, brute_force(rows[None], np.ones(10, int)))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 2], "example 1: a target must be within 0..1; got 2"),
        ([0, -1], "example 1: a target must be within 0..1; got -1"),
        ([0], "targets must be 2 integer classes"),
        ([0.0, 1.0], "targets must be 2 integer classes"),
    ],
)
def test_bad_targets_are_refused(targets, message):
    statistics = EnsembleStatistics(2, 2)
    with pytest.raises(InputError, match=message):
        statistics.add_member(0, np.full((2, 2), 0.5), np.array(targets))
    assert int(statistics.members.sum()) == 0


def test_a_member_counts_once_for_each_example():
    first, second = EnsembleStatistics(4, 2), EnsembleStatistics(4, 2)
    first.add_member(0, np.full((3, 2), 0.5), member="m")
    with pytest.raises(InputError, match=r"counted for these examples before; got 'examples 2\.\.2'"):
        first.add_member(2, np.full((2, 2), 0.5), member="m")
    second.add_member(1, np.full((3, 2), 0.5), member="m")
    with pytest.raises(InputError, match=r"counted for these examples before; got 'examples 1\.\.2'"):
        first.merge(second)
    assert first.members.tolist() == [1, 1, 1, 0]


def test_what_is_not_there_is_said():
    statistics = EnsembleStatistics(3, 2)
    statistics.add_member(0, np.full((2, 2), 0.5))
    for name, function in acquisition.FUNCTIONS.items():
        with pytest.raises(InputError, match="1 of 3 examples have no member"):
            function(statistics)
        assert name in dir(acquisition)
    statistics.add_member(2, np.full((1, 2), 0.5), [0])
    with pytest.raises(InputError, match="error_count, example 0: a member was added without targets"):
        acquisition.error_count(statistics)
    silent = EnsembleStatistics(3, 2, votes=False)
    silent.add_member(0, np.full((3, 2), 0.5))
    with pytest.raises(InputError, match="keep no votes"):
        acquisition.variation_ratio(silent)
    with pytest.raises(InputError, match="num_classes"):
        silent.merge(EnsembleStatistics(3, 4, votes=False))
    with pytest.raises(InputError, match="num_classes: must be at least 2"):
        EnsembleStatistics(3, 1)


@pytest.mark.parametrize("rows", ["float32", "float64"])
@pytest.mark.parametrize("sums", ["float32", "float64"])
def test_rows_at_the_tolerance_are_taken_or_refused_by_name_in_any_precision(rows, sums):
    base = generator(0, "rows").dirichlet(np.ones(7), size=400)
    scaled = (base * (1 + np.linspace(0.9e-4, 1.1e-4, 400))[:, None]).astype(rows)
    for row in scaled:
        statistics = EnsembleStatistics(1, 7, precision=sums)
        try:
            statistics.add_member(0, row[None])
        except InputError as error:
            assert "do not sum to one" in str(error)
            assert int(statistics.members) == 0
        else:
            assert int(statistics.members) == 1


@pytest.mark.parametrize("value", [-1e-5, -0.25, np.nan])
def test_a_bad_number_among_zeros_is_found(value):
    rows = np.tile([0.0, 0.0, 1.0], (5, 1))
    rows[3] = [value, -value, 1.0]
    statistics = EnsembleStatistics(5, 3)
    with pytest.raises(InputError, match="example 3"):
        statistics.add_member(0, rows)
    assert int(statistics.members.sum()) == 0


def test_half_precision_softmax_is_accepted():
    logits = torch.from_numpy(generator(0, "logits").normal(size=(5, 1000)) * 3)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        statistics = EnsembleStatistics(5, 1000)
        statistics.add_member(0, logits.to(dtype).softmax(1))
        assert np.all(acquisition.entropy(statistics) > 0)
