"""What subsets hold, by hand, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.analysis.chosen import chosen_results, conclude_chosen, holdings, largest
from headrace.random import generator
from headrace.search.chosen import count_taken, groups_of
from headrace.store.chosen import Chosen, Taken
from headrace.trials.jobs import classes_of


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


def test_ratios_are_shares_over_shares_and_their_mean_is_over_the_seeds() -> None:
    found = largest(holdings(CHOSEN))
    assert [(h.group, h.size) for h in found] == [("entropy", 10), ("random", 10)]
    entropy = found[0]
    assert entropy.wrong == pytest.approx((0.35, 0.3, 0.4))
    assert entropy.means is not None
    assert entropy.means[:2] == pytest.approx([0.3 / 0.6, 0.7 / 0.4])
    assert np.isnan(entropy.means[2])


def test_the_sentences_name_the_methods_and_what_chance_does() -> None:
    wrong, classes = conclude_chosen(CHOSEN)
    assert wrong == (
        "entropy at 10 examples: 35% of the labels that it took in are wrong (30% to 40% over the seeds), "
        "against 20% in the training set."
    )
    assert classes == (
        "entropy at 10 examples: class dog was taken 1.8 times as often as it occurs, class cat 0.5 times; "
        "with random subsets classes range from 0.88 to 1.1 times."
    )
    row = chosen_results(CHOSEN)[0]
    assert row["class_ratios"]["unicorn"] is None
    assert row["wrong_labels"][0] == pytest.approx(0.35)


def test_where_labels_are_hidden_nothing_is_claimed_of_them() -> None:
    hidden = CHOSEN.model_copy(update={"whole": None, "wrong": None})
    assert conclude_chosen(hidden) == []
    assert holdings(hidden)[0].ratios is None


def test_what_is_counted_is_so() -> None:
    labels, clean = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    one = count_taken((3, "entropy", 6), np.array([5, 6, 7, 9]), labels, clean, classes=4, kind="classes")
    assert (one.seed, one.group, one.size, one.different) == (3, "entropy", 6, 4)
    assert (one.classes, one.wrong) == ((1, 2, 1, 0), 1)
    assert count_taken((0, "x", 1), np.array([5]), None, clean[:1], classes=4, kind="classes").wrong is None


def test_groups_hold_what_the_last_round_chose_and_what_was_left() -> None:
    table = {
        "times": np.array([1, 1, 3, 0, 0, 1]),
        "round": np.array([0, 2, 1, -1, -1, 2]),
        "score": np.array([9.0, 1.0, 8.0, 5.0, 0.5, 2.0]),
    }
    groups = groups_of(table, generator(0, "walls"))
    assert groups["wanted"][0].tolist() == [5, 1]
    assert groups["wanted"][1].tolist() == [2.0, 1.0]
    assert groups["typical"][0].tolist() == [1, 5]
    assert groups["left"][0].tolist() == [4, 3]
    assert [part.tolist() for part in groups["often"]] == [[2], [3.0]]
    plain = groups_of({name: table[name] for name in ("times", "round")}, generator(0, "walls"))
    assert set(plain) == {"typical", "often"}
    assert np.isnan(plain["typical"][1]).all()


def test_with_several_labels_at_once_each_counts_for_its_class() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    clean = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 1]])
    one = count_taken((0, "entropy", 3), np.arange(3), labels, clean, classes=3, kind="labels")
    assert (one.classes, one.wrong) == ((2, 1, 1), 2)
    assert [classes_of(row, "labels") for row in labels] == [(0, 2), (), (0, 1)]
    assert classes_of(np.int64(2), "classes") == (2,)
    several = CHOSEN.model_copy(update={"whole": (80, 60, 0), "examples": 100})
    assert holdings(several)[0].ratios[0][:2] == pytest.approx([0.2 / 0.8, 0.8 / 0.6])
