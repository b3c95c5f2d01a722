"""Studies that are the same function by the promise of data parallelism: only their workers differ.

Any number of workers has the same hyperparameters, initialisation and batches, and gradients that add up to
the same (docs/data_parallel.md), unless the policy deals examples out to workers, or what the model does with
a batch is not what it does with its parts: dropout and batch normalisation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.policies import make_policy

if TYPE_CHECKING:
    from headrace.specs.experiment import Experiment


def equal_studies(experiment: Experiment) -> dict[str, str]:
    """Study -> the one with the fewest workers that is the same function, for every study that is not it.

    Args:
        experiment: The experiment; of its model it is assumed that workers can share a batch.
    """
    if experiment.training.precision != "float32":
        # In half precision sums in another order differ by more than a training forgives.
        return {}
    first: dict[tuple[str, str, str, int], str] = {}
    equal: dict[str, str] = {}
    for study in sorted(experiment.studies(), key=lambda study: study.configuration.workers):
        c = study.configuration
        if not make_policy(c.policy).divides:
            source = first.setdefault((study.optimizer, c.subset, c.policy, c.batch_size), study.name)
            if source != study.name:
                equal[study.name] = source
    return equal
