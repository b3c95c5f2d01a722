"""What a search will do and what it will cost, before anything is trained: pure functions of the file."""

from __future__ import annotations

from itertools import pairwise

from headrace.specs.methods import Method, shortlisted
from headrace.specs.search import SubsetSearch
from headrace.specs.search_tables import TrainingTable
from headrace.store.outcome import Cost
from headrace.store.search_facts import Facts
from headrace.training import budget

COMPARISON = "comparison"
"""The stage at which every subset and baseline is trained on."""


def counts(spec: SubsetSearch, examples: int) -> tuple[int, ...]:
    """The sizes in examples."""
    return tuple(round(share * examples) for share in spec.search.sizes)


def process_bytes(spec: SubsetSearch, facts: Facts) -> int:
    """At most what scoring and choosing hold in one process, in addition to the data and to training."""
    chosen = [0]
    sizes = counts(spec, facts.examples)
    most = max(b - a for a, b in pairwise((0, *sizes)))
    for select in (method.select for method in spec.methods):
        if select.takes_features:
            # float32 features, their centred copy, and float64 probabilities with their errors.
            chosen.append(facts.examples * (8 * (facts.features or 0) + 16 * facts.num_classes))
        elif select.takes_members:
            rows = shortlisted(select, most, facts.examples) * members_of(spec, facts)
            chosen.append(rows * facts.num_classes * (8 + 4))
    return max(facts.scoring_bytes, *chosen)


def run_steps(training: TrainingTable, examples: int) -> int:
    """The steps of a run on `examples` different examples."""
    asked = training.budget
    return budget.budget_steps(training.batch_size, examples, steps=asked.steps, epochs=asked.epochs)


def checkpoint_steps(training: TrainingTable, steps: int) -> tuple[int, ...]:
    """The steps after which a member is taken."""
    return tuple(max(1, round(share * steps)) for share in training.checkpoint_shares)


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
    if select.takes_members:
        return ensemble + members_of(spec, facts) * shortlisted(select, sizes[place] - before, left)
    return ensemble


def trained(spec: SubsetSearch, examples: int) -> int:
    """Examples that the runs of one round are trained on, with repetition."""
    assert spec.training is not None
    return spec.training.runs * spec.training.batch_size * run_steps(spec.training, examples)


def members_of(spec: SubsetSearch, facts: Facts) -> int:
    """The size of one round's ensemble."""
    if spec.training is None or spec.members is not None:
        return len(facts.members)
    return spec.training.runs * len(spec.training.checkpoint_shares)
