"""Keys of experiment files that came later: files without them mean what they did, to the byte."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from headrace.errors import InputErrors
from headrace.specs.experiment import Experiment
from headrace.specs.tables import Training

OLD: dict[str, Any] = {
    "workload": {"name": "digits-mlp"},
    "grid": {"batch_size": [8]},
    "search": {"trials": 2, "space": {"learning_rate": 0.1}},
    "training": {"budget": {"epochs": 2.0}},
}
LATER: dict[str, Any] = {
    "weight_decay_on": "matrices",
    "precision": "bfloat16",
    "compile": True,
    "ema_decay": 0.99,
}


def changed(key: str, value: Any) -> Experiment:
    return Experiment.from_dict({**OLD, "training": {**OLD["training"], key: value}})


def test_an_older_file_has_the_identity_that_it_had() -> None:
    old = Experiment.from_dict(OLD)
    assert set(old.identity()["training"]) == {
        "schedule", "budget", "evaluation", "microbatch", "stop", "device", "checkpoints",
    }  # fmt: skip
    assert set(old.identity()["training"]["budget"]) == {"steps", "epochs"}
    assert old.digest() == "f4555c76725821179ada5309787e5b9b31e11ecc64c3a5686f5b146df3c7e064"


@pytest.mark.parametrize("key", LATER)
def test_a_later_key_counts_if_it_is_used_and_is_kept(key: str) -> None:
    used = changed(key, LATER[key])
    assert used.digest() != Experiment.from_dict(OLD).digest()
    assert used.identity()["training"][key] == LATER[key]
    assert Experiment.model_validate_json(used.model_dump_json()) == used
    assert f"{key} = " in used.to_toml()
    if key != "ema_decay":
        same = changed(key, Training.model_fields[key].default)
        assert json.dumps(same.identity()) == json.dumps(Experiment.from_dict(OLD).identity())


def with_rules(*rules: str, space: Any = None, **report: Any) -> Experiment:
    space = {"learning_rate": {"low": 0.1, "high": 1.0, "scale": "log"}} if space is None else space
    search = {"trials": 2, "space": space}
    return Experiment.from_dict({**OLD, "search": search, "report": {"rules": [*rules], **report}})


def test_rules_change_no_identity_and_are_kept() -> None:
    asked = with_rules("square-root", "constant", rules_from=8)
    assert asked.identity() == with_rules().identity()
    assert "rules" not in with_rules().to_toml()
    assert Experiment.from_dict(tomllib.loads(asked.to_toml())) == asked


@pytest.mark.parametrize(
    ("rules", "report", "says"),
    [
        (["sqare-root"], {}, "report.rules: unknown rule; got 'sqare-root'. Did you mean 'square-root'?"),
        (["linear+x"], {}, "report.rules: unknown rule; got 'x'"),
        (["linear+square-root"], {}, "report.rules: two parts of the rule carry learning_rate"),
        (["half-life"], {}, "report.rules: has no effect: it carries beta2, which no trial searches"),
        (["linear", "linear"], {}, "report.rules: the same rule is given twice"),
        ([], {"rules_from": 8}, "report.rules_from: has no effect without rules"),
        (["linear"], {"rules_from": 16}, "report.rules_from: is not a batch size of the grid; got 16"),
    ],
)
def test_rules_that_cannot_be_are_refused(rules: list[str], report: dict[str, Any], says: str) -> None:
    with pytest.raises(InputErrors) as caught:
        with_rules(*rules, **report)
    assert next(str(error) for error in caught.value.errors).startswith(says)
