"""What studies are expected to take: the law is interpolated exactly, levels are factors, intervals hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.experiments.expected import Layers
from headrace.experiments.pilots import TIMED, partly, pilots
from headrace.specs.interval import interval_rank
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.bound import Rules

POSITIVE = st.floats(0.1, 1e4)


def _study(size: int, policy: str = "shuffle", subset: str = "full", optimizer: str = "sgd") -> StudyKey:
    configuration = Configuration(batch_size=size, policy=policy, subset=subset)
    return StudyKey(optimizer=optimizer, configuration=configuration)


@given(steps=POSITIVE, critical=POSITIVE, factors=st.lists(POSITIVE, min_size=2, max_size=2))
def test_a_law_and_factors_of_levels_are_found_exactly(
    steps: float, critical: float, factors: list[float]
) -> None:
    by_policy, by_subset = factors

    def law(size: int) -> float:
        return steps * (1 + critical / size)

    points = {_study(size): law(size) for size in (4, 64, 1024)}
    points[_study(64, policy="infobatch")] = by_policy * law(64)
    points[_study(256, subset="half")] = by_subset * law(256)
    layers = Layers(plain=_study(4), points=points, place=lambda size: 1 / size)
    for size in (4, 16, 64, 512, 1024):
        assert layers(_study(size)) == pytest.approx(law(size))
        both = _study(size, policy="infobatch", subset="half")
        assert layers(both) == pytest.approx(by_policy * by_subset * law(size))
    assert layers.knows(_study(8, policy="infobatch"))
    assert not layers.knows(_study(8, optimizer="adamw"))


def test_a_factor_that_depends_on_the_batch_size_is_interpolated_in_logarithms() -> None:
    points = {_study(size): 100.0 for size in (4, 64, 1024)}
    points[_study(4, optimizer="adamw")] = 400.0
    points[_study(64, optimizer="adamw")] = 100.0
    layers = Layers(plain=_study(4), points=points, place=lambda size: 1 / size)
    assert layers(_study(16, optimizer="adamw")) == pytest.approx(200)
    assert layers(_study(1024, optimizer="adamw")) == pytest.approx(100)
    assert layers(_study(16, policy="infobatch", optimizer="adamw")) == pytest.approx(200)


@given(
    optimizers=st.integers(1, 2),
    policies=st.integers(1, 3),
    subsets=st.integers(1, 2),
    sizes=st.integers(1, 6),
)
def test_the_studies_that_are_looked_at_have_every_level(
    optimizers: int, policies: int, subsets: int, sizes: int
) -> None:
    studies = [
        _study(2**size, policy=f"p{policy}", subset=f"s{subset}", optimizer=f"o{optimizer}")
        for optimizer in range(optimizers)
        for policy in range(policies)
        for subset in range(subsets)
        for size in range(sizes)
    ]
    groups = pilots(studies)
    chosen = [study for group in groups for study in group]
    others, places = optimizers + policies + subsets - 3, min(sizes, 3)
    assert len(set(chosen)) == len(chosen) == places * (1 + others)
    timed = [study for group in groups[:TIMED] for study in group]
    assert len(timed) == places + others
    layers = Layers(plain=studies[0], points=dict.fromkeys(timed, 1.0), place=float)
    assert all(layers.knows(study) for study in studies)


@given(asked=st.integers(1, 64))
def test_a_part_of_a_study_needs_as_large_a_share_of_its_trials_at_the_goal(asked: int) -> None:
    rules = Rules(asked=asked, limit=4 * asked, rank=interval_rank(asked), budget=10)
    half = partly(rules, 0.5)
    assert partly(rules, 1.0) == rules
    assert half.rank <= half.asked <= asked
    assert abs(half.rank / half.asked - rules.rank / asked) <= 1 / half.asked
