"""What a report opens with grows with its findings and not with its curves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis import words
from headrace.analysis.opening import FEW_CURVES, MOST_SENTENCES, opening

names = st.sampled_from(["sgd", "nesterov", "adam"])
curve = st.tuples(
    names, st.sampled_from(["full", "half"]), st.sampled_from(["shuffle", "rs2"]), st.integers(1, 4)
)


@given(st.lists(curve, unique=True, min_size=1, max_size=48), st.integers(0, 20))
def test_no_more_than_twelve_and_of_many_curves_none_about_one(curves, others):
    single = [f"{words.curve(one)}: steps to the goal are these." for one in curves]
    whole = [f"No difference shown in case {number}." for number in range(others)]
    opened = opening([*single, *whole], curves)
    assert len(opened) <= MOST_SENTENCES
    assert opened == [text for text in [*single, *whole] if text in opened]
    if len(single) + others <= MOST_SENTENCES and len(curves) <= FEW_CURVES:
        assert opened == [*single, *whole]
    else:
        assert opened == whole[:MOST_SENTENCES]
