"""Workers as an axis: the same numbers at any number of them, and what cannot be shared is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.inline_engine import Given, InlineEngine
from headrace.analysis.results import analyse
from headrace.engines.registry import ENGINES
from headrace.errors import InputErrors
from headrace.experiments.runner import run
from headrace.specs.experiment import Experiment
from headrace.trials.feed import refusal
from headrace.trials.running import RunningTrial

from .test_policy_axis import SINGLE, setting

pytestmark = pytest.mark.usefixtures("tiny")

LINE = {**SINGLE, "workload": {"name": "tiny_workload:line"}, "search.space.learning_rate": 0.02}


def curves(made: Experiment) -> dict[tuple[str, int], list[float]]:
    """Policy and workers -> the validation losses of trial 1."""
    found = {}
    for study in made.studies():
        trial = RunningTrial(setting=setting(made.model_dump_json()), study=study, trial=1)
        trial.advance(60, lambda: 60)
        assert trial.record().error is None
        key = study.configuration.policy, study.configuration.workers
        found[key] = [row["validation/loss"] for row in trial.rows]
    return found


def test_any_number_of_workers_has_the_same_trials(experiment) -> None:
    """Without dropout, up to float32's rounding; no two policies agree so well."""
    policies = ["shuffle", "infobatch", "rho-loss"]
    found = curves(experiment({**LINE, "grid.policy": policies, "grid.workers": [1, 2, 3]}))
    for policy in policies:
        for workers in (2, 3):
            assert found[policy, workers] == pytest.approx(found[policy, 1], rel=1e-4)
    for one, other in (("shuffle", "infobatch"), ("infobatch", "rho-loss")):
        assert found[one, 1] != pytest.approx(found[other, 1], rel=1e-3)


def test_with_dropout_each_worker_drops_its_own(experiment) -> None:
    found = curves(experiment({**SINGLE, "grid.workers": [1, 2], "search.space.learning_rate": 0.05}))
    assert found["shuffle", 1][0] == found["shuffle", 2][0]
    assert found["shuffle", 1] != found["shuffle", 2]


def test_partitions_differ_between_numbers_of_workers_and_agree_for_one(experiment) -> None:
    names = ["partition-stripes", "partition-blocks"]
    made = experiment({**LINE, "grid.policy": names, "grid.workers": [1, 4], "grid.batch_size": [12]})
    found = curves(made)
    assert found[names[0], 4] != found[names[1], 4]
    # Three epochs of 8 batches are warm-up.
    early = [row for row in range(len(found[names[0], 1])) if made.evaluation_steps(60)[row] <= 24]
    for name in names:
        assert [found[name, 4][i] for i in early] == pytest.approx(
            [found[name, 1][i] for i in early], rel=1e-4
        )
        assert found[name, 4] != pytest.approx(found[name, 1], rel=1e-4)


def test_hyperparameters_do_not_depend_on_the_workers(experiment) -> None:
    made = experiment({**SINGLE, "grid.workers": [1, 4]})
    one, four = made.studies()
    assert (one.name, four.name) == ("sgd,batch_size=4", "sgd,batch_size=4,workers=4")
    assert one.stream == four.stream == one.name
    assert made.hyperparameters(one, 3) == made.hyperparameters(four, 3)


def test_more_workers_than_examples_in_a_batch_are_refused(content) -> None:
    with pytest.raises(InputErrors) as caught:
        Experiment.from_dict(content({"grid.workers": [1, 4, 8, 32], "grid.batch_size": [4, 16]}))
    assert [str(error) for error in caught.value.errors] == [
        f"grid.workers: more workers than examples in a batch of {sizes}; got {workers}. batch_size is that "
        "of all workers together: use larger batches, or fewer workers."
        for sizes, workers in (("4", 8), ("4, 16", 32))
    ]


def test_results_tell_the_workers(experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    made = experiment({**SINGLE, "grid.workers": [1, 2], "search.trials": 2})
    results: dict[str, Any] = analyse(run(made, tmp_path, processes=1)).results
    assert [study["configuration"]["workers"] for study in results["studies"]] == [1, 2]
    assert {row["workers"] for row in results["scaling"]} == {1, 2}


def test_partitions_are_checked_before_anything_is_trained(
    content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    changes = {**SINGLE, "grid.policy": ["shuffle", "partition-blocks"], "grid.workers": [5]}
    with pytest.raises(InputErrors) as caught:
        run(Experiment.from_dict(content({**changes, "grid.batch_size": [8, 9]})), tmp_path, processes=1)
    assert [str(error) for error in caught.value.errors] == [
        "grid, partition-blocks: 5 workers with examples of their own need batches of at least 9; "
        "got 'a global batch of 8 from 96 examples'"
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, None),
        ({"score": "loss-variance"}, None),
        ({"score": "loss-variance", "burn_in_epochs": 1}, "needs at least 2 to have a score"),
        ({"score": "el2n"}, "holds losses only"),
    ],
)
def test_scores_that_the_workload_cannot_have(content, values: dict[str, Any], reason: str | None) -> None:
    name = "partition-stripes"
    changes = {**LINE, "grid.policy": [name], "search.policy": {name: values}}
    made = Experiment.from_dict(content(changes))
    found = refusal(name, setting(made.model_dump_json()))
    assert found is None if reason is None else reason in (found or "")
