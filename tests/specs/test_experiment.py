"""An experiment file is right, or every error in it is told at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError, InputErrors
from headrace.specs import toml
from headrace.specs.experiment import Experiment


def messages(content: dict) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        Experiment.from_dict(content, where="e.toml")
    assert str(caught.value).startswith("e.toml: ")
    return [str(error) for error in caught.value.errors]


def test_every_error_of_a_file_is_told_at_once(content) -> None:
    wrong = content(
        {
            "seed": "a",
            "grid.batch_size": None,
            "grid.batch_sise": [8],
            "search.trials": True,
            "search.space.learning_rate": {"low": 3.0, "high": 2.0, "scale": "log"},
            "training.budget": {"steps": 5, "epochs": 1},
        }
    )
    assert messages(wrong) == [
        "seed: input should be a valid integer; got 'a'",
        "grid.batch_size: is missing. Add it.",
        "grid.batch_sise: unknown key 'batch_sise'. Did you mean 'batch_size'? "
        "Known: batch_size, optimizer, policy, subset, workers, exclude, include, repeat_equal.",
        "search.trials: input should be a valid integer; got True",
        "search.space.learning_rate: low must be smaller than high, got low = 3.0 and high = 2.0; "
        "got {'low': 3.0, 'high': 2.0, 'scale': 'log'}",
        "training.budget: give either steps, epochs or tokens; got {'steps': 5, 'epochs': 1}",
    ]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("grid.batch_size", [], "grid.batch_size: must be a list that is not empty; got []"),
        ("grid.batch_size", 8, "grid.batch_size: must be a list that is not empty; got 8"),
        ("grid.batch_size", [8, 0], "grid.batch_size[1]: input should be greater than or equal to 1; got 0"),
        ("grid.batch_size", [8, 8], "grid.batch_size: the values must differ from each other; got [8, 8]"),
        ("grid.batch_size", [8.0], "grid.batch_size[0]: input should be a valid integer; got 8.0"),
        ("grid.optimizer", ["nestrov"], "grid.optimizer: unknown optimizer; got 'nestrov'. Did you"),
        (
            "grid.policy",
            ["weight-dificulty"],
            "grid.policy: unknown policy; got 'weight-dificulty'. Did you mean 'weight-difficulty'?",
        ),
        ("grid.workers", [1, 8], "grid.workers: more workers than examples in a batch of 4; got 8."),
        ("search.max_trials", 3, "search.max_trials: must be at least trials = 6; got 3"),
        ("search.space.momentum.scale", "lg", "search.space.momentum.scale: input should be 'log', 'linear'"),
        ("search.space.momentum.high", 1.0, "a one-minus-log scale needs high < 1"),
        ("search.space.learning_rate.low", 0.0, "a log scale needs low > 0"),
        ("search.space.learning_rate", None, "search.space.learning_rate: is missing"),
        ("search.space.learning_rate", -1.0, "learning_rate must be a finite number > 0; got -1.0"),
        ("search.space.learning_rate", "a", "must be a number, a table { low, high, scale } or a table {"),
        (
            "search.space.moment",
            0.5,
            "search.space.moment: unknown hyperparameter. Did you mean 'momentum'",
        ),
        ("search.space.end_factor", 0.1, "search.space.end_factor: has no effect with schedule 'constant'"),
        (
            "search.space.label_smoothing",
            {"choices": []},
            "label_smoothing.choices: must be a list that is not",
        ),
        ("search.space.label_smoothing", {"choices": [0.1, 0.1]}, "choices must differ from each other"),
        (
            "search.space.label_smoothing",
            {"choices": [0.1, 1.0]},
            "label_smoothing must be a finite number >= 0",
        ),
        ("search.space.warmup_steps", 1.5, "warmup_steps must be a whole number"),
        ("training.budget", {}, "training.budget: give either steps, epochs or tokens"),
        (
            "training.budget",
            {"steps": 0},
            "training.budget.steps: input should be greater than or equal to 1",
        ),
        ("training.evaluation", {"ratio": 1.0}, "training.evaluation.ratio: input should be greater than 1"),
        ("training.microbatch", 16, "training.microbatch: has no effect: no batch size is larger than 16"),
        ("training.stop", "never", "training.stop: input should be 'bound' or 'budget'; got 'never'"),
        ("workload", None, "workload: is missing"),
        ("workload.goal", float("nan"), "workload.goal: input should be a finite number"),
        ("sed", 1, "sed: unknown key 'sed'. Did you mean 'seed'?"),
    ],
)
def test_what_is_refused(content, key: str, value: object, says: str) -> None:
    errors = messages(content({key: value}))
    assert len(errors) == 1
    assert says in errors[0]


def test_a_hyperparameter_of_no_optimizer_is_refused_and_of_one_is_tuned_there(content, experiment) -> None:
    assert "momentum: has no effect" in messages(content({"grid.optimizer": ["sgd"]}))[0]
    tuned = {study.optimizer: experiment().tuned(study) for study in experiment().studies()}
    assert tuned == {"sgd": ("learning_rate",), "nesterov": ("learning_rate", "momentum")}


def test_the_grid_is_every_combination_smallest_batches_first(experiment) -> None:
    studies = experiment({"grid.batch_size": [16, 4]}).studies()
    assert [study.name for study in studies] == [
        "sgd,batch_size=4",
        "sgd,batch_size=16",
        "nesterov,batch_size=4",
        "nesterov,batch_size=16",
    ]


def test_the_canonical_text_means_the_same(experiment, tmp_path: Path) -> None:
    changes = {
        "workload.settings": {"hidden": [3, 4], "name": 'a "b"\n', "deep": {"x": {"y": True}}},
        "search.space.weight_decay": 1e-5,
        "search.space.label_smoothing": {"choices": [0, 0.1]},
        "training.budget": {"epochs": 2},
    }
    made = experiment(changes)
    path = tmp_path / "e.toml"
    path.write_text(made.to_toml())
    read = Experiment.from_toml(path)
    assert read == made
    assert read.to_toml() == made.to_toml()
    assert read.digest() == made.digest() != experiment().digest()


leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
tables = st.recursive(
    leaves.filter(lambda leaf: leaf is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), tables, max_size=4))
def test_toml_that_is_written_is_read_back(content: dict) -> None:
    assert tomllib.loads(toml.dumps(content)) == content


def test_budgets(experiment) -> None:
    study = experiment().studies()[1]
    assert experiment().budget_steps(study, 1000) == 60
    assert experiment({"training.budget": {"epochs": 2}}).budget_steps(study, 1000) == 125
    with pytest.raises(InputError, match="allows no step"):
        experiment({"training.budget": {"epochs": 0.5}}).budget_steps(study, 10)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the file does not exist\. Check the path"):
        Experiment.from_toml(tmp_path / "e.toml")
    (tmp_path / "e.toml").write_text("a = [")
    with pytest.raises(InputError, match="this is not TOML"):
        Experiment.from_toml(tmp_path / "e.toml")
    (tmp_path / "e.toml").write_bytes(b"\xff")
    with pytest.raises(InputError, match="line 1 is not UTF-8"):
        Experiment.from_toml(tmp_path / "e.toml")
