"""What can be wrong with an experiment once its workload is known; checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.engines import torchrun
from headrace.errors import InputError, InputErrors
from headrace.policies import make_policy
from headrace.sampling.split import check_dealing
from headrace.specs.experiment import Experiment
from headrace.specs.packing import AUTO, refused
from headrace.specs.space import Choices, Entry, Range, split
from headrace.specs.studies import FULL
from headrace.store.facts import WorkloadFacts
from headrace.subsets.restrict import checksum_of
from headrace.training.recipe import Recipe
from headrace.training.schedules import check_schedule
from headrace.trials.pack_table import BY_TABLE
from headrace.trials.tasks import Inspection


def check_readiness(experiment: Experiment, inspection: Inspection) -> None:
    """Check that the experiment and its workload go together.

    Raises:
        InputErrors: All that do not.
    """
    errors = [
        *_subset_errors(inspection),
        *_size_errors(experiment, inspection),
        *_goal_errors(inspection),
        *_smoothing_errors(experiment, inspection),
        *_policy_errors(inspection),
        *_partition_errors(experiment, inspection),
        *_pack_errors(experiment, inspection),
    ]
    errors += [] if errors else list(_budget_errors(experiment, inspection))
    if errors:
        raise InputErrors(errors, where=f"the experiment on {inspection.facts.name}")


def check_packs(facts: WorkloadFacts, inspection: Inspection) -> None:
    """Check that trials can be packed here as they are in the folder, whose results depend on it.

    Raises:
        InputError: They cannot.
    """
    for study, reason in inspection.alone.items():
        if facts.packs.get(study, 1) > 1 and reason not in BY_TABLE:
            raise InputError(
                f"the folder's trials are in packs of {facts.packs[study]}, and here they cannot be, because "
                f"{reason}",
                where=study,
                fix="Continue as the folder was begun, or choose another folder.",
            )


def check_workers(experiment: Experiment) -> None:
    """Check that the experiment is for as many workers as torchrun started processes.

    Raises:
        InputError: It has another number of workers, or several.
    """
    processes = torchrun.world_size()
    if experiment.grid.workers != (processes,):
        raise InputError(
            f"must be [{processes}] under torchrun with {processes} processes",
            where="grid.workers",
            got=list(experiment.grid.workers),
            fix="Without torchrun one process plays any numbers of workers, with the same results.",
        )


def check_files(experiment: Experiment, facts: WorkloadFacts) -> None:
    """Check that the subset files are those with which the folder's trials were trained.

    A file that is not there any more is none to check: only trials that are still to be trained miss it.

    Raises:
        InputErrors: Those that were altered.
    """
    errors = [
        InputError(
            f"the file of {name!r} has changed since this folder was made",
            where="grid.subset",
            got=experiment.subsets.get(name, name),
            fix="Choose another folder, or undo the change.",
        )
        for name, part in facts.subsets.items()
        if checksum_of(experiment, name) not in (None, part.sha256)
    ]
    if errors:
        raise InputErrors(errors, where=f"the experiment on {facts.name}")


def _size_errors(experiment: Experiment, inspection: Inspection) -> Iterator[InputError]:
    facts = inspection.facts
    cells = [(s.configuration.subset, s.configuration.batch_size) for s in experiment.studies()]
    for subset, size in dict.fromkeys(cells):
        examples = facts.examples_in(subset)
        what = "the training set" if subset == FULL else f"the subset {subset!r}"
        if size > examples:
            yield InputError(
                f"a batch cannot be larger than {what} of {examples} examples",
                where="grid.batch_size",
                got=size,
                fix=f"Use {examples} for the full batch"
                + ("." if subset == FULL else ", or leave it out for this subset by grid.exclude."),
            )


def _subset_errors(inspection: Inspection) -> Iterator[InputError]:
    for name, reason in inspection.refused_subsets.items():
        yield InputError(f"{name!r} cannot be used with this workload: {reason}", where="grid.subset")


def _goal_errors(inspection: Inspection) -> Iterator[InputError]:
    facts = inspection.facts
    if inspection.start_metric < facts.goal:
        yield InputError(
            f"the goal is met before training: validation/{facts.metric_name} of an untrained model is "
            f"{inspection.start_metric:.4g}",
            where="workload.goal",
            got=facts.goal,
            fix="Set a lower goal; a metric must be lower for better models.",
        )


def _smoothing_errors(experiment: Experiment, inspection: Inspection) -> Iterator[InputError]:
    entry = experiment.search.space.get("label_smoothing", 0.0)
    if not inspection.smooths_labels and _largest(entry) > 0:
        yield InputError(
            "the workload's loss does not take label_smoothing",
            where="search.space.label_smoothing",
            fix="Leave it out, or use the cross-entropy.",
        )


def _policy_errors(inspection: Inspection) -> Iterator[InputError]:
    for policy, reason in inspection.refused_policies.items():
        yield InputError(
            f"cannot be used with this workload ({reason})",
            where="grid.policy",
            got=policy,
            fix="Leave it out.",
        )


def _pack_errors(experiment: Experiment, inspection: Inspection) -> Iterator[InputError]:
    if experiment.training.pack != AUTO:
        for reason in dict.fromkeys(inspection.alone.values()):
            yield refused(experiment, reason)


def _largest(entry: Entry) -> float:
    if isinstance(entry, Range):
        return entry.high
    return entry if isinstance(entry, float | int) else max(entry.choices)


def _partition_errors(experiment: Experiment, inspection: Inspection) -> Iterator[InputError]:
    """Batches in which a worker would find no example of its own."""
    facts = inspection.facts
    dealt = (study.configuration for study in experiment.studies())
    for c in dict.fromkeys(c for c in dealt if make_policy(c.policy).divides):
        try:
            check_dealing(facts.examples_in(c.subset), c.batch_size, c.workers, where=f"grid, {c.policy}")
        except InputError as error:
            yield error


_OF_SCHEDULE = ("warmup_steps", "warmup_fraction", "decay_fraction", "cooldown_fraction")
"""The hyperparameters on which it depends whether a warm-up fits."""


def _budget_errors(experiment: Experiment, inspection: Inspection) -> Iterator[InputError]:
    """Budgets without a step, and warm-ups that do not fit: the first of each study."""
    space = experiment.search.space
    tuned = any(isinstance(space.get(name), Range | Choices) for name in _OF_SCHEDULE)
    for study in experiment.studies():
        try:
            examples = inspection.facts.examples_in(study.configuration.subset)
            budget = experiment.budget_steps(study, examples, inspection.facts.tokens_per_example)
            experiment.evaluation_steps(budget)
            # Where nothing of the schedule is tuned, every trial has that of the first.
            for trial in experiment.order(study)[: None if tuned else 1]:
                check_schedule(
                    Recipe(
                        optimizer=study.optimizer,
                        schedule=experiment.training.schedule,
                        **split(experiment.hyperparameters(study, trial))[0],
                    ),
                    budget,
                )
        except InputError as error:
            yield error.within(study.name)
