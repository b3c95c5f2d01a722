"""Policies as an axis: their settings are checked and tuned, trials stay pure, cost is counted honestly."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from experiments.inline_engine import Given, InlineEngine
from experiments.test_runner import canonical
from headrace.analysis.results import analyse
from headrace.engines.inline import InlinePlace
from headrace.engines.registry import ENGINES
from headrace.errors import InputErrors
from headrace.experiments.runner import run
from headrace.policies import POLICIES, make_policy
from headrace.random import torch_generator
from headrace.sampling.batches import shuffled_batches
from headrace.sampling.sampler import ExampleSampler
from headrace.specs.experiment import Experiment
from headrace.specs.space import borders
from headrace.specs.studies import StudyKey
from headrace.training.data import TensorData
from headrace.trials.bench import Bench
from headrace.trials.feed import epochs_of
from headrace.trials.holdout import EPOCHS, holdout_losses
from headrace.trials.running import RunningTrial
from headrace.trials.setting import Setting
from headrace.workloads.registry import load_workload

pytestmark = pytest.mark.usefixtures("tiny")

BETA = {"low": 0.5, "high": 3.0, "scale": "linear"}
SINGLE = {"grid.batch_size": [4], "grid.optimizer": ["sgd"], "search.space.momentum": None}
ALWAYS = {"always": True}


def settings(policy: str, **values: Any) -> dict[str, Any]:
    return {"grid.policy": ["shuffle", policy], "search.policy": {policy: values}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"search.policy": {"focal": {"gamma": 1.0}}},
            "search.policy.focal: has no effect: the policy is not in the grid; got 'focal'. Add it",
        ),
        (
            settings("focal", gama=1.0),
            "search.policy.focal.gama: unknown setting of the policy focal. Did you mean 'gamma'? Known:",
        ),
        (
            settings("selective-backprop", beta={**BETA, "low": -1.0}),
            "search.policy.selective-backprop.beta.low: must be a finite number above 0; got -1.0",
        ),
        (
            settings("rs2", share={"choices": [0.5, 1.5]}),
            "search.policy.rs2.share: must be a finite number above 0 and at most 1; got 1.5",
        ),
        (
            settings("gradient-norm", candidates=2.5),
            "search.policy.gradient-norm.candidates: must be a whole number; got 2.5",
        ),
        (
            settings("gradient-norm", candidates={"choices": [2, 1]}),
            "candidates: must be at least 2; got 1.0",
        ),
        (
            settings("gradient-norm", always=1),
            "search.policy.gradient-norm.always: must be true or false; got 1",
        ),
        (
            settings("gradient-norm", always=BETA),
            "search.policy.gradient-norm.always: must be true or false, and cannot be tuned",
        ),
        (
            settings("gradient-norm", per_class=True),
            "gradient-norm.per_class: chooses within batches and cannot be used per class",
        ),
        (
            settings("infobatch", annealing_epochs=3),
            "annealing_epochs: cannot be annealed: it does not follow its values smoothly; got 3. Anneal a",
        ),
        (
            settings("weight", score="difficulti"),
            "search.policy.weight.score: unknown score to draw or weigh by; got 'difficulti'",
        ),
        (
            settings("focal", gamma={"low": 2.0, "high": 1.0, "scale": "linear"}),
            "search.policy.focal.gamma: low must be smaller than high",
        ),
        (settings("focal", gamma=[1]), "search.policy.focal.gamma: must be a constant, a table { low"),
        (settings("focal", gamma=float("nan")), "search.policy.focal.gamma: must be a number; got nan"),
        (
            {"grid.policy": ["SD", "sample-difficulty"]},
            "grid.policy: the values must differ from each other",
        ),
    ],
)
def test_what_is_refused(content, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputErrors) as caught:
        Experiment.from_dict(content(changes))
    assert len(caught.value.errors) == 1
    assert says in str(caught.value.errors[0])


def test_names_of_the_paper_are_stored_by_ours(experiment) -> None:
    made = experiment({"grid.policy": ["SGD-Scan", "ISPV"], "search.policy": {"ISPV": {"epsilon": 0.1}}})
    assert made.grid.policy == ("shuffle", "importance-prediction-variance")
    assert made == experiment(settings("importance-prediction-variance", epsilon=0.1))


def test_the_canonical_text_means_the_same(experiment, tmp_path: Path) -> None:
    made = experiment(
        settings("gradient-norm", always=True, candidates={"choices": [2, 3]}, burn_in_epochs=1)
    )
    (tmp_path / "e.toml").write_text(made.to_toml())
    read = Experiment.from_toml(tmp_path / "e.toml")
    assert read == made
    assert read.search.policy["gradient-norm"]["always"] is True


def test_policies_are_checked_without_torch() -> None:
    code = (
        "import sys; from headrace.experiments import Experiment\n"
        "Experiment.from_dict({'workload': {'name': 'digits-mlp'}, 'grid': {'batch_size': [8], "
        "'policy': ['rho-loss', 'focal']}, 'search': {'space': {'learning_rate': 0.1}, 'policy': {'focal': "
        "{'gamma': 2.0}}}, 'training': {'budget': {'steps': 5}}}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_policy_tries_the_same_values_and_its_own_settings_beside(experiment) -> None:
    decay = {"low": 1e-6, "high": 1e-3, "scale": "log"}
    made = experiment(
        {**settings("selective-backprop", beta=BETA, window=64), "search.space.weight_decay": decay}
    )
    plain, mine = (
        next(s for s in made.studies() if s.configuration.policy == name and s.optimizer == "nesterov")
        for name in made.grid.policy
    )
    assert made.tuned(mine) == ("learning_rate", "momentum", "policy.beta", "weight_decay")
    assert made.tuned(plain) == ("learning_rate", "momentum", "weight_decay")
    betas = []
    for trial in range(made.search.limit):
        values = made.hyperparameters(mine, trial)
        betas.append(values.pop("policy.beta"))
        assert values.pop("policy.window") == 64
        assert values == made.hyperparameters(plain, trial)
    assert all(0.5 <= beta <= 3.0 for beta in betas)
    assert len(set(betas)) == made.search.limit


def test_whole_settings_are_drawn_whole(experiment) -> None:
    spread = {"low": 2, "high": 9, "scale": "linear"}
    made = experiment(settings("gradient-norm", candidates=spread, **ALWAYS))
    study = next(s for s in made.studies() if s.configuration.policy == "gradient-norm")
    drawn = [made.hyperparameters(study, trial)["policy.candidates"] for trial in range(24)]
    assert all(isinstance(value, int) for value in drawn)
    assert set(drawn) == set(range(2, 10))


def test_a_border_names_the_policys_own_key(experiment) -> None:
    made = experiment(settings("focal", gamma={"low": 1, "high": 4, "scale": "linear"}))
    study = next(s for s in made.studies() if s.configuration.policy == "focal")
    (border,) = borders(made.space_of(study), {"policy.gamma": 3.99}, policy="focal")
    assert "move search.policy.focal.gamma.high outwards" in border.suggestion


# Trials.


@cache
def setting(text: str) -> Setting:
    made = Experiment.model_validate_json(text)
    workload = load_workload(made.workload.name, made.workload.settings)
    return Setting(experiment=made, workload=workload, goal=-1.0, device=torch.device("cpu"))


def trial_of(made: Experiment, policy: str, trial: int = 0) -> RunningTrial:
    study = next(s for s in made.studies() if s.configuration.policy == policy)
    return RunningTrial(setting=setting(made.model_dump_json()), study=study, trial=trial)


def rows_of(made: Experiment, policy: str, until: int = 60) -> list[dict[str, Any]]:
    trial = trial_of(made, policy)
    trial.advance(until, lambda: until)
    assert trial.record().error is None
    return trial.rows


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_trains_and_counts_what_it_takes(experiment, policy: str) -> None:
    """One after the other and taking turns give the same measurements; each step trains on a whole batch."""
    always = {"search.policy": {policy: ALWAYS}} if policy == "gradient-norm" else {}
    made = experiment({**SINGLE, "grid.policy": [policy], "search.space.learning_rate": 0.05, **always})
    alone = rows_of(made, policy)
    one, two = trial_of(made, policy, 0), trial_of(made, policy, 1)
    for until in (3, 17, 40, 60):
        one.advance(until, lambda: 60)
        two.advance(until, lambda: 60)
    assert one.rows == alone
    assert [row["train/loss"] for row in two.rows[1:]] != [row["train/loss"] for row in alone[1:]]
    extra = {"gradient-norm": 3, "selective-backprop": 2, "rho-loss": 10}.get(policy, 0)
    start = alone[0]
    for row in alone:
        trained = row["examples_backpropagated"] - start["examples_backpropagated"]
        assert trained == 4 * row["step"]
        assert row["examples_forwarded"] - start["examples_forwarded"] == trained * (1 + extra)
    if policy == "rho-loss":
        # Two models on 48 examples each, in one batch an epoch.
        assert start["examples_backpropagated"] == 2 * EPOCHS * 48
        assert start["examples_forwarded"] == start["examples_backpropagated"] + 2 * EPOCHS * 48
    else:
        assert (start["examples_backpropagated"], start["examples_forwarded"]) == (0, 0)


def test_plain_shuffling_is_fed_as_without_policies(experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.trials import feed as feeding

    calls = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        calls.append((args, kwargs))
        return shuffled_batches(*args, **kwargs)

    monkeypatch.setattr(feeding, "shuffled_batches", noted)
    monkeypatch.setattr(feeding, "ExampleSampler", None)
    trial = trial_of(experiment({**SINGLE}), "shuffle")
    trial.advance(1, lambda: 60)
    assert calls == [((96, 4), {"seed": 3, "path": ("sgd,batch_size=4", 0), "device": torch.device("cpu")})]
    assert trial._feed is not None
    assert trial._feed.record is None


def test_policies_change_what_is_trained_on(experiment) -> None:
    names = ["shuffle", "weight-difficulty", "sample-difficulty"]
    made = experiment({**SINGLE, "grid.policy": names, "search.space.learning_rate": 0.05})
    curves = [[row["validation/loss"] for row in rows_of(made, name)] for name in made.grid.policy]
    assert curves[0] != curves[1] != curves[2]


def test_the_settings_reach_the_policy(experiment) -> None:
    """Four candidates for each, and selection from the third epoch on: 24 steps of 4 are one of 96."""
    changes = settings("gradient-norm", candidates=4, burn_in_epochs=2, **ALWAYS)
    rows = rows_of(experiment({**SINGLE, **changes, "search.space.learning_rate": 0.05}), "gradient-norm")
    for row in rows:
        expected = 4 * (row["step"] + 4 * max(0, row["step"] - 48))
        assert row["examples_forwarded"] == expected


def test_the_length_of_the_training_counts_candidates() -> None:
    length = {"budget": 100, "batch_size": 32, "examples": 1000}
    assert epochs_of(make_policy("infobatch"), **length) == 4
    assert epochs_of(make_policy("rho-loss"), **length) == 32
    assert epochs_of(make_policy("rho-loss", burn_in_epochs=1), **length) == 32


def test_a_batch_over_the_end_of_selection_still_trains_on_a_batch() -> None:
    """The candidates were drawn in an epoch with selection, and chosen from when the next one was planned."""

    class Stops(type(make_policy("gradient-norm"))):  # type: ignore[misc]
        def plan(self, values, epoch, rng):
            from headrace.sampling.plan import Plan

            return Plan(indices=rng.permutation(epoch.num_examples), candidates=3 if epoch.number == 0 else 1)

    from headrace.histories.history import History

    sampler = ExampleSampler(10, policy=Stops(), history=History(10), batch_size=2)
    batches = sampler.batches()
    first, second = next(batches), next(batches)
    assert (first.train_on, second.train_on, next(batches).train_on) == (2, 2, None)
    outputs, targets = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(6).long()
    chosen = sampler.choose(second.indices, outputs, targets, torch.ones(6), count=second.train_on)
    assert len(chosen.positions) == 2


def test_holdout_losses_come_from_models_that_never_saw_the_example(experiment) -> None:
    """With random targets nothing carries over: the loss stays at chance; memory would lower it."""
    workload = setting(experiment().model_dump_json()).workload
    chance = torch_generator(0, "chance")
    inputs = torch.randn(96, 8, generator=chance)
    data = TensorData(inputs, torch.randint(0, 2, (96,), generator=chance))
    noise = replace(workload, train=data)
    found = holdout_losses(noise, seed=0, device=torch.device("cpu"))
    assert found.losses.shape == (96,)
    assert found.losses.mean() > 0.6
    again = holdout_losses(noise, seed=0, device=torch.device("cpu"))
    assert np.array_equal(found.losses, again.losses)
    assert not np.array_equal(found.losses, holdout_losses(noise, seed=1, device=torch.device("cpu")).losses)


# Whole experiments.


def test_results_count_canonically_in_any_order(
    experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker, three that take turns at random and lose trials, and whole budgets: the same results."""
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    changes = {
        **SINGLE,
        "grid.policy": ["shuffle", "importance-difficulty", "selective-backprop"],
        "search.policy": {"selective-backprop": {"beta": BETA}},
        "search.space.learning_rate": {"low": 0.03, "high": 0.5, "scale": "log"},
        "search.trials": 4,
    }
    one = run(experiment(changes), tmp_path / "one", processes=1)
    three = run(experiment(changes), tmp_path / "three", processes=3)
    full = run(experiment({**changes, "training.stop": "budget"}), tmp_path / "full", processes=2)
    assert canonical(one) == canonical(three) == canonical(full)
    results = analyse(one).results
    assert results == analyse(three).results
    overshot = sum(record.examples_forwarded for record in full.records)
    assert sum(study["examples_forwarded"] for study in results["studies"]) < overshot
    _check_costs(analyse(full).results["studies"], results["studies"])
    selective = next(s for s in results["studies"] if s["configuration"]["policy"] == "selective-backprop")
    assert selective["hyperparameters"] == ["learning_rate", "policy.beta"]
    assert 0.5 <= selective["best_trial"]["hyperparameters"]["policy.beta"] <= 3.0


def _check_costs(full: list[dict[str, Any]], raced: list[dict[str, Any]]) -> None:
    names = ("examples_to_result", "examples_forwarded_to_result", "examples_trained", "examples_forwarded")
    for study, other in zip(full, raced, strict=True):
        assert [study[name] for name in names] == [other[name] for name in names]
        policy, to_result = study["configuration"]["policy"], study["examples_to_result"]
        assert to_result == 4 * study["steps_to_result"]
        forwarded = study["examples_forwarded_to_result"]
        assert forwarded >= 3 * to_result if policy == "selective-backprop" else forwarded >= to_result
        assert (forwarded == to_result) == (policy in ("shuffle", "importance-difficulty"))


def test_a_policy_that_needs_classes_is_refused_before_anything_is_trained(
    content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    changes = {
        **SINGLE,
        "workload": {"name": "tiny_workload:line"},
        "grid.policy": ["shuffle", "focal", "recency-bias", "gradient-norm", "infobatch", "rho-loss"],
    }
    with pytest.raises(InputErrors) as caught:
        run(Experiment.from_dict(content(changes)), tmp_path, processes=1)
    assert [str(error).partition(" Leave")[0] for error in caught.value.errors] == [
        "grid.policy: cannot be used with this workload (probability needs the predicted probabilities, "
        "and this history holds losses only); got 'focal'.",
        "grid.policy: cannot be used with this workload (it needs one class per example, "
        "and the targets are numbers); got 'recency-bias'.",
        "grid.policy: cannot be used with this workload (el2n needs the predicted probabilities, "
        "and this history holds losses only); got 'gradient-norm'.",
    ]
    fine = {**changes, "grid.policy": ["infobatch", "self-paced", "online-batch-selection", "rho-loss"]}
    made = Experiment.from_dict(content({**fine, "search.space.learning_rate": 0.01}))
    assert Bench(made, InlinePlace(4)).inspect().refused_policies == {}
    for name in made.grid.policy:
        losses = [row["validation/loss"] for row in rows_of(made, name)]
        assert losses[-1] < losses[0]


def test_measurements_hold_the_counters(experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    stored = run(experiment({**SINGLE, "search.trials": 2}), tmp_path, processes=1)
    table = stored.measurements
    assert table.schema["examples_forwarded"] == pl.Int64
    assert (table["examples_backpropagated"] == 4 * table["step"]).all()
    key: StudyKey = stored.experiment.studies()[0]
    for record in stored.study_records(key.name):
        last = table.filter(pl.col("trial") == record.trial)["examples_forwarded"][-1]
        assert record.examples_forwarded == last
