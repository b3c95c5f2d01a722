"""Chunk by chunk gives what the sums over everything give."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.ensembles import Chunk, EnsembleStatistics, acquisition, score_chunks
from headrace.ensembles.coverage import Coverage, missing, overlap, union
from headrace.errors import InputError
from headrace.random import generator

P = generator(0, "p").dirichlet(np.ones(5), size=(4, 11))
FUNCTIONS = {"entropy": acquisition.entropy, "variation_ratio": acquisition.variation_ratio}


def chunk(start: int, stop: int, members: int = 4) -> Chunk:
    return Chunk(start=start, members=(member[start:stop] for member in P[:members]))


def test_chunks_in_any_order_equal_the_whole():
    whole = EnsembleStatistics(11, 5)
    for member in P:
        whole.add_member(0, member)
    scores = score_chunks(11, 5, [chunk(7, 11), chunk(0, 3), chunk(3, 7)], FUNCTIONS)
    for name, function in FUNCTIONS.items():
        np.testing.assert_allclose(scores[name], function(whole), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        (lambda: [chunk(0, 5), chunk(6, 11)], r"leave examples out; got 'nothing for 5..5'"),
        (lambda: [chunk(0, 6), chunk(5, 11)], "example 5: a chunk has examples that another had before"),
        (lambda: [chunk(0, 6), chunk(6, 11, members=3)], "the same 4 members; got 3"),
        (lambda: [Chunk(start=8, members=[P[0, :4]])], "within 0..10"),
        (lambda: [Chunk(start=0, members=[])], "no members"),
        (
            lambda: [Chunk(start=0, members=[P[0, :3], P[1, :2]])],
            "member 1: every member of a chunk must have the same 3 examples; got 2",
        ),
    ],
)
def test_bad_chunks_are_refused(chunks, message):
    with pytest.raises(InputError, match=message):
        score_chunks(11, 5, chunks(), FUNCTIONS)


def test_intervals():
    assert union([(5, 7), (0, 2), (2, 4), (6, 9), (3, 3)]) == ((0, 4), (5, 9))
    assert missing([(2, 4), (0, 1)], 6) == ((1, 2), (4, 6))
    assert missing([(0, 6)], 6) == ()
    assert overlap([(0, 3)], [(3, 5)]) is None
    assert overlap([(0, 3), (6, 9)], [(8, 12), (2, 4)]) == (2, 3)
    coverage = Coverage({"a": [(0, 2)]})
    coverage.merge(Coverage({"a": [(2, 3)], "b": [(0, 1)]}))
    assert coverage.members == {"a": ((0, 3),), "b": ((0, 1),)}
