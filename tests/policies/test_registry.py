"""The names of policies, their settings, and what importing them costs."""

import subprocess
import sys

import pytest

import headrace.policies as policies
from headrace.errors import InputError
from headrace.policies import BurnIn, ImportanceSample, Sample, SelectiveBackprop, make_policy, settings_of


def test_names_make_what_they_say():
    assert make_policy("sample-prediction-variance") == Sample("prediction-variance")
    assert make_policy("ISD", epsilon=0.1) == ImportanceSample("difficulty", epsilon=0.1)
    assert policies.sample("mean-loss") == Sample("mean-loss")
    assert policies.SPV() == policies.sample_prediction_variance() == Sample("prediction-variance")
    assert policies.selective_backprop(beta=2.0) == SelectiveBackprop(beta=2.0)
    assert make_policy("SD", burn_in_epochs=3) == BurnIn(Sample("difficulty"), epochs=3)


def test_settings():
    wrappers = ("annealing_epochs", "per_class", "burn_in_epochs", "refresh_epochs")
    assert settings_of("infobatch") == ("ratio", "until", *wrappers)
    assert settings_of("WD") == ("epsilon", *wrappers)


def test_unknown_names():
    with pytest.raises(InputError, match=r"unknown policy; got 'info-batch'\. Did you mean 'infobatch'"):
        make_policy("info-batch")
    with pytest.raises(InputError, match=r"unknown setting of the policy rs2; got 'shares'\. Known: share,"):
        make_policy("rs2", shares=0.5)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = policies.nothing


def test_the_names_are_known_without_torch():
    code = "import sys, headrace.policies, headrace.sampling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_policy_is_an_attribute_and_nothing_else_is() -> None:
    for name in (*policies.POLICIES, *policies.ACTIVE_BIAS):
        assert policies.__getattr__(name.replace("-", "_"))() == policies.make_policy(name)
    with pytest.raises(AttributeError, match="no attribute 'sample_luck'"):
        policies.__getattr__("sample_luck")
