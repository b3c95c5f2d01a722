"""Shares of an experiment's studies: each study in exactly one, none much longer than another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.specs.experiment import Experiment
from headrace.specs.shares import Share, expected_cost, studies_of


def experiment(
    sizes: list[int], policies: int = 1, budget: dict | None = None, stop: str = "bound"
) -> Experiment:
    return Experiment.from_dict(
        {
            "workload": {"name": "digits-mlp"},
            "grid": {"batch_size": sizes, "policy": ["shuffle", "infobatch", "rho-loss"][:policies]},
            "search": {"trials": 4, "space": {"learning_rate": {"low": 0.001, "high": 10.0, "scale": "log"}}},
            "training": {"budget": budget or {"steps": 500}, "stop": stop},
        }
    )


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 4096), min_size=1, max_size=8, unique=True),
    policies=st.integers(1, 3),
    of=st.integers(1, 24),
    stop=st.sampled_from(["bound", "budget"]),
    budget=st.sampled_from([{"steps": 300}, {"epochs": 3.0}]),
)
def test_every_study_is_in_one_share_and_the_work_is_even(
    sizes: list[int], policies: int, of: int, stop: str, budget: dict
) -> None:
    asked = experiment(sizes, policies, budget, stop)
    studies = asked.studies()
    if of > len(studies):
        with pytest.raises(InputError, match=f"the experiment has {len(studies)}; got"):
            studies_of(asked, Share(number=1, of=of))
        return
    shares = [studies_of(asked, Share(number=number, of=of)) for number in range(1, of + 1)]
    assert all(shares)
    assert sorted(study.name for share in shares for study in share) == sorted(s.name for s in studies)
    if stop == "bound":
        costs = [[expected_cost(s.configuration.batch_size, None) for s in share] for share in shares]
        longest = max(cost for share in costs for cost in share)
        assert max(map(sum, costs)) - min(map(sum, costs)) <= longest


@pytest.mark.parametrize(
    "text", ["0/8", "9/8", "3", "3/", "/8", "a/b", "3/8/9", "-1/8", "1.0/2", "\u0663/8", ""]
)
def test_a_part_that_does_not_exist(text: str) -> None:
    with pytest.raises(InputError, match="--part: must be K/N with 1 <= K <= N; got"):
        Share.parse(text)


def test_studies_of_which_one_is_trained_are_in_one_share() -> None:
    content = experiment([8, 16, 32]).model_dump()
    content["grid"] |= {"workers": (1, 2, 4), "policy": ("shuffle", "infobatch")}
    asked = Experiment.model_validate(content)
    with pytest.raises(InputError, match=r"the experiment has \d+ that are not the same function"):
        studies_of(asked, Share(number=1, of=18))
    shares = [studies_of(asked, Share(number=number, of=6)) for number in range(1, 7)]
    for share in shares:
        assert len({(s.configuration.batch_size, s.configuration.policy) for s in share}) == 1
        assert [s.configuration.workers for s in share] == [1, 2, 4]
    content["grid"]["repeat_equal"] = True
    assert len(studies_of(Experiment.model_validate(content), Share(number=18, of=18))) == 1


def test_a_part_as_it_is_written() -> None:
    assert Share.parse("3/8") == Share(number=3, of=8)
    assert str(Share(number=3, of=8)) == "3/8"
