"""A bench knows its workload by the goal of the file, where the file names one."""

from __future__ import annotations

import pytest

from headrace.engines.inline import InlinePlace
from headrace.trials.advance import MakeBench


@pytest.mark.usefixtures("tiny")
def test_the_goal_of_the_file_counts_in_the_fingerprint_and_in_the_trials(experiment) -> None:
    own, other = (MakeBench.of(experiment({"workload.goal": goal}))(InlinePlace()) for goal in (None, 0.3125))
    assert own.setting.goal == own.fingerprint.goal == own.setting.workload.goal
    assert other.setting.goal == other.fingerprint.goal == 0.3125
    assert other.setting.goal != own.setting.goal
    assert other.fingerprint.model_copy(update={"goal": own.fingerprint.goal}) == own.fingerprint
