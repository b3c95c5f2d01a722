"""What a search will do and what it will cost, before anything is trained: pure functions of the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.errors import InputError, InputErrors
from headrace.experiments.records import Record
from headrace.experiments.subsets.methods import Method, Select
from headrace.experiments.subsets.search import SubsetSearch, TrainingTable
from headrace.training import budget

COMPARISON = "comparison"
"""The stage at which every subset and baseline is trained on."""
SECONDS_PER_TERM = 1e-8
"""BatchBALD's time for one example, chosen example, class and configuration, roughly, on one core."""
LONGEST_HOURS = 24
"""A BatchBALD choice that would take longer is refused."""


class Facts(Record):
    """What is known of the workload once it was loaded.

    Attributes:
        examples: The size of the training set.
        checksum: Of the training set.
        num_classes: Columns of a model's output.
        classes: The classes' names; their numbers where they have none.
        metric: What the comparison measures: `test/...`, or `validation/...` where there is no test split.
        members: Paths of the user's own checkpoints, in order.
        gpus: How many GPUs there are; 0 where runs are trained on the CPU.
        features: Inputs of the model's last linear layer; None where no method asks for them.
    """

    examples: int
    checksum: str
    num_classes: int
    classes: tuple[str, ...]
    metric: str
    members: tuple[str, ...] = ()
    gpus: int = 0
    features: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one stage of one search.

    Attributes:
        seed: Which of the comparison's searches.
        group: The method, or the baseline.
        stage: "search", "comparison" or "transfer to NAME".
        size: Examples in the subset that is trained on (duplicates counted).
        examples_trained: By all runs together; work that was there already counts as well.
        examples_scored: Members x examples, of the pool and of what a method looks at besides.
        labels_bought: Hidden labels that were needed for it, and not before.
    """

    seed: int
    group: str
    stage: str
    size: int
    examples_trained: int
    examples_scored: int = 0
    labels_bought: int = 0


def counts(spec: SubsetSearch, examples: int) -> tuple[int, ...]:
    """The sizes in examples."""
    return tuple(round(share * examples) for share in spec.search.sizes)


def run_steps(training: TrainingTable, examples: int) -> int:
    """The steps of a run on `examples` different examples."""
    asked = training.budget
    return budget.budget_steps(training.batch_size, examples, steps=asked.steps, epochs=asked.epochs)


def checkpoint_steps(training: TrainingTable, steps: int) -> tuple[int, ...]:
    """The steps after which a member is taken."""
    return tuple(max(1, round(share * steps)) for share in training.checkpoint_shares)


def check_ready(spec: SubsetSearch, facts: Facts) -> None:
    """Check that the file and the workload go together.

    Raises:
        InputErrors: All that does not.
    """
    sizes = counts(spec, facts.examples)
    errors: list[InputError] = []
    if sizes[0] < 1 or len(set(sizes)) < len(sizes):
        errors.append(
            InputError(
                f"the sizes must be different numbers of the {facts.examples} examples, and not 0",
                where="search.sizes",
                got=list(sizes),
            )
        )
    else:
        errors += _joint_errors(spec, facts)
        errors += [] if spec.training is None else _training_errors(spec.training, sizes[0])
    if errors:
        raise InputErrors(errors, where=f"the search on {spec.workload.name}")


def check_transfer(spec: SubsetSearch, number: int, facts: Facts, other: Facts) -> None:
    """Check that a transfer trains on the data that are searched, and can.

    Args:
        spec: The search.
        number: Which transfer.
        facts: Of the search's workload.
        other: Of the transfer's.

    Raises:
        InputErrors: All that does not fit.
    """
    errors: list[InputError] = []
    if other.checksum != facts.checksum:
        errors.append(
            InputError(
                "its training set is another one, so the subsets mean nothing there",
                where=f"transfer[{number}].workload",
                got=spec.transfer[number].workload.name,
                fix="Give a workload with the same examples, in the same order and with the same transforms.",
            )
        )
    training = spec.transferred(number).training
    assert training is not None
    errors += _training_errors(training, counts(spec, facts.examples)[0])
    if errors:
        raise InputErrors(errors, where=f"transfer to {spec.transfer[number].label}")


def _training_errors(training: TrainingTable, smallest: int) -> list[InputError]:
    if training.batch_size > smallest:
        what = f"a batch cannot be larger than the smallest subset of {smallest} examples"
        return [InputError(what, where="training.batch_size", got=training.batch_size)]
    try:
        taken = checkpoint_steps(training, run_steps(training, smallest))
    except InputError as error:
        return [error]
    if len(set(taken)) < len(taken):
        return [
            InputError(
                "two checkpoints of a run would be at the same step",
                where="training.checkpoints",
                got=list(taken),
                fix="Take fewer, or give a larger budget.",
            )
        ]
    return []


def plan(spec: SubsetSearch, facts: Facts) -> tuple[Cost, ...]:
    """What every stage will cost; where examples can be chosen again, at most this.

    Stages that are the same for several groups (the random start) are planned for each of them.
    """
    return tuple(
        cost
        for seed in spec.repeats
        for cost in [
            *(c for method in spec.methods for c in _search_costs(spec, facts, seed, method)),
            *_comparison_costs(spec, facts, seed, COMPARISON),
            *(
                cost
                for number, table in enumerate(spec.transfer)
                for cost in _comparison_costs(spec.transferred(number), facts, seed, transfer_to(table.label))
            ),
        ]
    )


def transfer_to(name: str) -> str:
    """The stage of a transfer."""
    return f"transfer to {name}"


def _search_costs(spec: SubsetSearch, facts: Facts, seed: int, method: Method) -> list[Cost]:
    sizes = counts(spec, facts.examples)
    hidden = spec.search.labels == "hidden"
    costs: list[Cost] = []
    # The last size is trained on by the comparison only.
    for place, size in enumerate(sizes):
        # What is chosen with one's own members belongs to the size that it gives, else to the one before.
        grown = place if spec.members else place + 1
        grows = grown < len(sizes)
        bought = size - (sizes[place - 1] if place else 0) if hidden else 0
        costs.append(
            Cost(
                seed=seed,
                group=method.label,
                stage="search",
                size=size,
                examples_trained=trained(spec, size) if grows and spec.members is None else 0,
                examples_scored=scored(spec, facts, method, grown) if grows else 0,
                labels_bought=bought,
            )
        )
    return costs


def _comparison_costs(spec: SubsetSearch, facts: Facts, seed: int, stage: str) -> list[Cost]:
    if spec.comparison is None:
        return []
    return [
        Cost(seed=seed, group=group, stage=stage, size=size, examples_trained=trained(spec, budgeted))
        for group, size, budgeted in compared(spec, facts)
    ]


def compared(spec: SubsetSearch, facts: Facts) -> list[tuple[str, int, int]]:
    """What the comparison trains: (group, size of the subset, size that the budget is reckoned from)."""
    sizes = counts(spec, facts.examples)
    groups = [(name, size, size) for name in spec.groups for size in sizes]
    for name in spec.baselines:
        if name == "full":
            groups.append((name, facts.examples, facts.examples))
        else:
            groups += [(name, size, size) for size in sizes]
    return groups


def scored(spec: SubsetSearch, facts: Facts, method: Method, place: int) -> int:
    """Members x examples that go forward to grow to `sizes[place]`; own members score the pool only once."""
    once = spec.members is None or place == 0
    ensemble = members_of(spec, facts) * facts.examples if method.score and once else 0
    sizes = counts(spec, facts.examples)
    before = sizes[place - 1] if place else 0
    left = facts.examples - (before if spec.search.choose_from == "remainder" else 0)
    select = method.select
    if select.takes_features:
        return ensemble + facts.examples
    if select.name == "batch_bald":
        return ensemble + members_of(spec, facts) * shortlisted(select, sizes[place] - before, left)
    return ensemble


def shortlisted(select: Select, count: int, candidates: int) -> int:
    """How many of the candidates `batch_bald` chooses `count` from."""
    return min(math.ceil(select.settings["shortlist"] * count), candidates)


def _joint_errors(spec: SubsetSearch, facts: Facts) -> Iterator[InputError]:
    """Batches that BatchBALD would not choose within a day."""
    sizes = counts(spec, facts.examples)
    grown = range(spec.first_acquired, len(sizes))
    for method in (m for m in spec.methods if m.select.name == "batch_bald"):
        number = max(sizes[place] - (sizes[place - 1] if place else 0) for place in grown)
        most = shortlisted(method.select, number, facts.examples)
        terms = number * most * facts.num_classes * int(method.select.settings["configurations"])
        hours = terms * SECONDS_PER_TERM / 3600
        if hours > LONGEST_HOURS:
            yield InputError(
                f"choosing {number:,} of {most:,} examples would take about {hours:,.0f} hours, "
                f"more than {LONGEST_HOURS}",
                where="batch_bald",
                fix="Give smaller steps of sizes, a smaller shortlist or fewer configurations.",
            )


def trained(spec: SubsetSearch, examples: int) -> int:
    """Examples that the runs of one round are trained on, with repetition."""
    assert spec.training is not None
    return spec.training.runs * spec.training.batch_size * run_steps(spec.training, examples)


def members_of(spec: SubsetSearch, facts: Facts) -> int:
    """The size of one round's ensemble."""
    if spec.training is None or spec.members is not None:
        return len(facts.members)
    return spec.training.runs * len(spec.training.checkpoint_shares)
