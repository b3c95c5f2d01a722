"""The gradient noise under a policy's own sampling, over the course of a trial that is trained again.

With probabilities p_i and weights w_i a step's gradient is the mean of w_i g_i over its draws. A policy that
does not change the objective has p_i w_i proportional to 1/N, so that the variance of one draw is

    tr(Sigma_p) = mean over all examples of q_i |g_i|^2 - |G|^2,     q_i = w_i draws / examples they stand for

after the factor that is common to all of it has been divided out; q = 1 is uniform sampling. For draws by
p = |g| / sum |g| it is (mean |g|)^2 - |G|^2, the least of all [D].
Draws without replacement have less variance within an epoch; as in any noise scale, that is not counted.

`gradient-norm` draws b of c b uniform candidates by ratings s. The candidates themselves have the variance
tr(Sigma) / c, and within them q_i = mean(s) / s_i:

    tr(Sigma_p) = mean q_i |g_i|^2 - |G|^2 + tr(Sigma) / c (1 - 1/b)    [D]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float

from headrace.sampling.plan import Plan
from headrace.specs.space import split
from headrace.specs.studies import StudyKey
from headrace.store.noise_gain import GainCourse, GainPoint

if TYPE_CHECKING:
    from torch import Tensor, nn

    from headrace.policies import BatchPolicy
    from headrace.trials.setting import Setting

Nine = tuple[float, float, float, float, float, float, float, float, float]
Each = Float[np.ndarray, " drawn"]


def measure_gain(
    setting: Setting,
    study: StudyKey,
    trial: int,
    until: int,
    *,
    points: int = 6,
    examples: int = 512,
    progress: Callable[[str], object] | None = None,
) -> GainCourse:
    """Train a trial again as it was, up to `until`, and measure its gradient noise at `points` of its steps.

    Args:
        setting: The workload on the study's subset.
        study: A study whose policy `predictable` accepts.
        trial: The trial's index.
        until: The last step.
        points: At how many steps; fewer where the trial is shorter.
        examples: From how many examples; at most those there are.
        progress: Called with a line for each point.
    """
    from headrace import random
    from headrace.policies import make_policy
    from headrace.policies.wrappers import batch_policy
    from headrace.training.noise import per_example
    from headrace.training.per_example import per_example_products
    from headrace.trials.feed import feed
    from headrace.trials.noise_course import chosen_steps, fetched
    from headrace.trials.running import begin

    experiment, data, budget = setting.experiment, setting.workload.train, setting.budget_steps(study)
    values, last = experiment.hyperparameters(study, trial), LastPlan()
    fed, model = feed(setting, study, trial, values, budget, log=last), setting.new_model(study, trial)
    steps = chosen_steps(experiment.evaluation_steps(budget), until, points)
    trained = begin(
        setting, study, trial, fed, model,
        values=values, evaluation_steps=steps, evaluate=lambda _: {}, record=fed.record,
    )  # fmt: skip
    chooser = batch_policy(make_policy(study.configuration.policy, **split(values)[1]))
    found, drawn = list[GainPoint](), np.zeros(0, np.int64)
    for measurement in trained:
        rng = random.generator(experiment.seed, "noise gain", study.name, trial, measurement.step)
        drawn = rng.choice(len(data), min(examples, len(data)), replace=False)
        inputs, targets = fetched(setting, drawn)
        squares, products, mean = per_example_products(model, inputs, targets, setting.workload.training_loss)
        signal, noise = per_example(squares, products, mean)
        plan = last.plan_of_step
        if chooser is None or plan is None or plan.candidates == 1:
            added = (odds(plan, drawn) - 1) * squares
        else:
            chosen = odds_of_candidates(chooser, model, inputs, targets)
            size = study.configuration.batch_size
            added = added_within(chosen, squares, noise, candidates=plan.candidates, batch_size=size)
        found.append(point(measurement.step, signal, noise, added))
        if progress is not None:
            progress(f"{study.name}, step {measurement.step}")
    return GainCourse(study=study, trial=trial, examples=len(drawn), points=tuple(found))


def odds(plan: Plan | None, drawn: np.ndarray) -> Each:
    """Q of some examples by a policy's plan.

    Args:
        plan: Of the epoch; None before the first.
        drawn: The examples.
    """
    if plan is None or plan.weights is None:
        weights = np.ones(len(drawn))
    else:
        weights = np.asarray(plan.weights, np.float64)[drawn]
    if plan is None or plan.stands_for is None:
        return weights
    return weights * len(plan.indices) / plan.stands_for


def odds_of_candidates(policy: BatchPolicy, model: nn.Module, inputs: Any, targets: Tensor) -> Each:
    """Q of these examples within a batch of candidates, with what `gradient-norm` adds to its ratings."""
    import torch

    from headrace.training.evaluation import evaluation_mode

    with evaluation_mode(model), torch.inference_mode():
        outputs = model(inputs)
        ratings = policy.rate(outputs, targets, torch.zeros(len(outputs), device=outputs.device), None)
    found = ratings.cpu().numpy().astype(np.float64)
    found = found + 1e-6 * found.mean() + 1e-30
    return found.mean() / found


def added_within(odds: Each, squares: Each, noise: Each, *, candidates: float, batch_size: int) -> Each:
    """What choosing within candidates adds to each example's noise, see the module.

    Args:
        odds: Q of each, from `odds_of_candidates`.
        squares: |g_i|^2.
        noise: Pseudo-values of tr(Sigma).
        candidates: How many are drawn for each that is trained on.
        batch_size: How many are trained on in a step.
    """
    return (odds - 1) * squares + noise / candidates * (1 - 1 / batch_size)


def point(step: int, signal: Each, noise: Each, added: Each) -> GainPoint:
    """The means of the pseudo-values, and the covariance of these means."""
    covariance = np.cov(np.stack([signal, noise, added])) / len(signal)
    return GainPoint(
        step=step,
        signal=float(signal.mean()),
        noise=float(noise.mean()),
        added=float(added.mean()),
        covariance=cast("Nine", tuple(covariance.ravel().tolist())),
    )


class LastPlan:
    """Keeps the plan by which a trial is fed at the moment."""

    def __init__(self) -> None:
        self.plan_of_step: Plan | None = None

    def plan(self, epoch: int, plan: Plan) -> None:
        """An epoch was planned."""
        del epoch
        self.plan_of_step = plan

    def chosen(self, indices: np.ndarray, weights: np.ndarray) -> None:
        """What is chosen of candidates follows from their ratings."""


def predictable(name: str) -> bool:
    """Whether the noise under a policy's sampling predicts its steps: it must not change the objective."""
    from headrace.policies import make_policy
    from headrace.policies.by_batch import GradientNorm
    from headrace.policies.wrappers import batch_policy

    policy = make_policy(name)
    chooser = batch_policy(policy)
    return not policy.changes_objective and (chooser is None or isinstance(chooser, GradientNorm))
