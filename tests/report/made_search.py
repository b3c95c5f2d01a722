"""A subset search made up for the tests: its outcome, and what it chose."""

from __future__ import annotations

from pathlib import Path

from headrace.specs.search import SubsetSearch
from headrace.store.chosen import Chosen, Taken
from headrace.store.outcome import Cost, Measured, Outcome
from headrace.store.search_facts import Facts

NOISE = (0.001, -0.002, 0.0005, 0.0015, -0.001)


def outcome(entropy: float, random: float, seeds: int = 5) -> Outcome:
    """Entropy's and random's error at a quarter; 0.10 for both at the random start and for everything."""
    spec = SubsetSearch.from_dict(
        {
            "workload": {"name": "digits-mlp"},
            "search": {"sizes": [0.125, 0.25], "acquisition": ["entropy"]},
            "training": {
                "batch_size": 10,
                "hyperparameters": {"learning_rate": 0.1},
                "budget": {"steps": 100},
            },
            "comparison": {"seeds": seeds},
        }
    )
    errors = {("entropy", 100): 0.1, ("entropy", 200): entropy, ("random", 100): 0.1, ("random", 200): random}
    errors[("full", 800)] = 0.10
    measured = [
        Measured(seed=seed, group=group, size=size, runs=(error + NOISE[(seed + place) % 5],) * 2)
        for place, ((group, size), error) in enumerate(errors.items())
        for seed in range(seeds)
    ]
    spent = (
        Cost(seed=0, group="entropy", stage="search", size=100, examples_trained=2000, examples_scored=3000),
        Cost(seed=0, group="full", stage="comparison", size=800, examples_trained=2000),
    )
    facts = Facts(examples=800, checksum="x", num_classes=2, classes=("a", "b"), metric="test/error")
    return Outcome(
        directory=Path("none"),
        spec=spec,
        facts=facts,
        plan=spent,
        spent=spent,
        trained=4000,
        scored=3000,
        seconds=1.0,
        measured=tuple(measured),
    )


def taken(seed: int, group: str, size: int, classes: tuple[int, ...], wrong: int) -> Taken:
    return Taken(seed=seed, group=group, size=size, different=sum(classes), classes=classes, wrong=wrong)


CHOSEN = Chosen(
    key="k",
    classes=("cat", "dog", "unicorn"),
    whole=(60, 40, 0),
    wrong=20,
    examples=100,
    taken=(
        taken(0, "entropy", 10, (2, 8, 0), 4),
        taken(1, "entropy", 10, (4, 6, 0), 3),
        taken(0, "entropy", 5, (5, 0, 0), 0),
        taken(0, "random", 10, (6, 4, 0), 2),
        taken(1, "random", 10, (7, 3, 0), 2),
    ),
)
