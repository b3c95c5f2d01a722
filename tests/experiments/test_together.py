"""The designs of docs/results/together, and the closed form of the workload with a known answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from docs.results.together import heavy_tails

from headrace.experiments.searched import searches
from headrace.specs.experiment import Experiment

PLACE = Path(__file__).parents[2] / "docs/results/together"


@pytest.mark.parametrize("data", ["mnist-flipped", "fashion-mnist"])
def test_the_designs_are_those_of_the_page(data: str) -> None:
    asked = Experiment.from_toml(PLACE / data / "experiment.toml")
    studies = asked.studies()
    partitioned = [study for study in studies if study.configuration.policy.startswith("partition")]
    many = {study.configuration.batch_size for study in studies if study.configuration.workers == 4}
    assert (len(studies), len(partitioned), many) == (84, 4, {256, 1024})
    assert (asked.search.trials, asked.replicates and asked.replicates.seeds) == (16, 10)
    assert searches(asked)["chosen"].workload == asked.workload.model_copy(
        update={"goal": asked.workload.goal}
    )


def test_the_closed_form_is_the_mean_over_every_draw() -> None:
    """One step from any coefficients, with uneven probabilities: all 2,048 draws of one example, weighed."""
    data, rng = heavy_tails.heavy_tails().train, np.random.default_rng(0)
    inputs, targets = (part.double().numpy() for part in data.fetch(torch.arange(len(data))))
    at, rate = rng.normal(1, 0.5, heavy_tails.COORDINATES), 0.1
    mean = heavy_tails.Mean(1, rate, importance=True, first=at - 1, second=(at - 1) ** 2)
    odds = mean.losses() + mean.losses().mean()
    mean.draw(odds)
    share = (odds / odds.sum()).reshape(-1)
    gradients = inputs * (inputs @ at - targets[:, 0])[:, None]
    assert mean.losses().reshape(-1) == pytest.approx((inputs @ at - targets[:, 0]) ** 2 / 2, rel=1e-5)
    after = at - rate * gradients / (len(data) * share)[:, None] - 1
    mean.step(1)
    assert mean.first == pytest.approx(share @ after, rel=1e-5, abs=1e-7)
    assert mean.second == pytest.approx(share @ after**2, rel=1e-5)
