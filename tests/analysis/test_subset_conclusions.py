"""What is concluded from a comparison: the verdict first, and none where the seeds show none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.analysis.subset_search import conclude, markdown
from headrace.specs.search import SubsetSearch
from headrace.store.outcome import Cost, Measured, Outcome, Transferred
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


def test_a_better_subset_is_worth_a_look() -> None:
    found = conclude(outcome(entropy=0.08, random=0.12))
    assert found["conclusions"][0] == (
        "Worth a look: in 5 seeds entropy did better than a random subset as large, "
        "and entropy better than everything."
    )
    random, full = found["verdicts"]
    assert random.startswith(
        "200 examples (25.0%) against a random subset (test error 0.12): better: entropy -0.04 ["
    )
    assert full.startswith(
        "200 examples (25.0%) against everything (test error 0.1): better: entropy -0.02 ["
    )


@pytest.mark.parametrize(
    ("entropy", "word"), [(0.12, "no difference shown: entropy"), (0.15, "worse: entropy")]
)
def test_another_is_not_worth_it(entropy: float, word: str) -> None:
    found = conclude(outcome(entropy=entropy, random=0.12))
    assert found["conclusions"][0].startswith("Not worth it here, as far as 5 seeds can show")
    assert word in found["verdicts"][0]
    assert ("would have shown" in found["verdicts"][0]) == ("no difference" in word)


def test_methods_stand_by_verdict_and_the_best_first() -> None:
    """Verdicts of two methods of one kind, in falling merit, whatever their order in the file."""
    made = outcome(entropy=0.08, random=0.12)
    better = [
        Measured(seed=one.seed, group="margin", size=one.size, runs=tuple(run - 0.03 for run in one.runs))
        for one in made.measured
        if one.group == "entropy"
    ]
    search = made.spec.search.model_copy(update={"acquisition": ("entropy", "margin")})
    two = replace(
        made, spec=made.spec.model_copy(update={"search": search}), measured=(*made.measured, *better)
    )
    found = conclude(two)
    assert found["verdicts"][0].index("margin -0.07") < found["verdicts"][0].index("entropy -0.04")
    assert "in 5 seeds entropy and margin did better" in found["conclusions"][0]


def test_the_random_start_is_not_compared() -> None:
    assert {c["size"] for c in conclude(outcome(0.1, 0.1))["comparisons"]} == {200}


def test_one_seed_shows_nothing() -> None:
    results = conclude(outcome(0.01, 0.5, seeds=1))
    assert results["conclusions"][0].startswith("One seed does not separate effect from chance")
    assert results["comparisons"] == []
    assert all(row["interval"] is None for row in results["table"])


def test_the_cost_is_told_in_runs_on_everything() -> None:
    # 2000 trained and a third of 3000 scored, beside 1000 for each of two runs.
    assert "as much as 3 runs on everything" in conclude(outcome(0.1, 0.1))["conclusions"][-1]


def test_the_mean_and_its_interval_by_hand() -> None:
    row = next(
        r for r in conclude(outcome(0.1, 0.1))["table"] if r["group"] == "entropy" and r["size"] == 200
    )
    assert row["mean"] == pytest.approx(0.1)
    # Standard deviation of NOISE 0.00146; t(4, 97.5%) = 2.776; 5 seeds.
    assert row["interval"][1] - row["mean"] == pytest.approx(2.776 * 0.001458 / 5**0.5, rel=1e-2)


def test_the_page_opens_with_the_conclusion() -> None:
    lines = markdown(conclude(outcome(0.1, 0.1))).splitlines()
    assert lines[2].startswith("- Not worth it here")


def test_the_page_has_every_sentence_and_row_of_the_search_and_of_its_transfers() -> None:
    own, other = outcome(entropy=0.12, random=0.12), outcome(entropy=0.08, random=0.12)
    wider = Transferred(name="wider", facts=other.facts, measured=other.measured)
    results = conclude(replace(own, transfers=(wider,)))
    (elsewhere,) = results["transfers"]
    assert elsewhere["verdicts"]
    assert elsewhere["conclusions"]
    first, second = markdown(results).split("## Trained on the same subsets: wider")
    for text, part in ((first, results), (second, elsewhere)):
        found = [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]
        assert found == [*part["conclusions"], *part["verdicts"]]
        table = [line for line in text.splitlines() if line.startswith("| group | examples | share")]
        assert len(table) == 1
        assert sum(
            line.startswith(f"| {row['group']} | {row['size']}")
            for row in part["table"]
            for line in text.splitlines()
        ) >= len(part["table"])
    assert "None" not in first + second
