"""Which studies' trials can be trained as one, as far as the experiment's file says. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.errors import InputError
from headrace.policies import make_policy
from headrace.policies.wrappers import batch_policy
from headrace.specs.space import Choices, Range
from headrace.training.registry import OPTIMIZERS

if TYPE_CHECKING:
    from headrace.specs.studies import StudyKey
    from headrace.specs.tables import Tables

AUTO = "auto"


def why_alone(experiment: Tables, study: StudyKey) -> str | None:
    """Why the trials of a study cannot be trained as one, or None where they can, on some workloads."""
    return _of_training(experiment) or _of_study(study)


def packing_errors(experiment: Tables) -> Iterator[InputError]:
    """A number of trials to train as one, where they cannot be; each reason once."""
    if experiment.training.pack in (1, AUTO):
        return
    reasons = {why_alone(experiment, study): None for study in reversed(experiment.studies())}
    for reason in reversed(reasons):
        if reason is not None:
            yield refused(experiment, reason)


def refused(experiment: Tables, reason: str) -> InputError:
    """The error about a number of trials that cannot be trained as one."""
    return InputError(
        f"the trials cannot be trained as one, because {reason}",
        where="training.pack",
        got=experiment.training.pack,
        fix=f'Leave it out, or give "{AUTO}": then what cannot be packed is trained one by one.',
    )


def _of_training(experiment: Tables) -> str | None:
    training, smoothing = experiment.training, experiment.search.space.get("label_smoothing")
    reasons = {
        "precision is not float32": training.precision != "float32",
        "models are compiled": training.compile,
        "an average of the weights is kept (ema_decay)": training.ema_decay is not None,
        "batches are cut into micro-batches": training.microbatch is not None,
        "checkpoints are kept": training.checkpoints is not None,
        "label_smoothing is tuned": isinstance(smoothing, Range | Choices),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _of_study(study: StudyKey) -> str | None:
    policy, workers = study.configuration.policy, study.configuration.workers
    if OPTIMIZERS[study.optimizer].moments is None:
        return f"the optimizer {study.optimizer!r} cannot update several models at once"
    if workers > 1:
        return "their batches are shared by several workers"
    if batch_policy(make_policy(policy)) is not None:
        return f"the policy {policy!r} chooses within batches"
    return None
