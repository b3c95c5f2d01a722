"""What portraits say of the examples, against counting; and what is put aside to be looked at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.analysis.looked_at import looked_at
from headrace.analysis.origins import warn_of_changes, warn_of_search
from headrace.analysis.portraits import SUSPECTS, portrait_results, read
from headrace.analysis.roc import area_under_roc
from headrace.analysis.stored_results import read_object
from headrace.errors import HeadraceError
from headrace.histories.registry import SCORES
from headrace.random import generator
from headrace.specs.studies import Configuration, StudyKey
from headrace.store.portrait_records import ExamplesShown, Fed, Portrait, ShownExample, ShownGroup
from headrace.store.portraits import StoredPortrait


def stored(columns: dict[str, Any], kind: str = "predictions", **more: Any) -> StoredPortrait:
    portrait = Portrait(
        study=StudyKey(optimizer="sgd", configuration=Configuration(policy="shuffle", batch_size=8)),
        trial=3, goal_step=20, asked_steps=30, steps=30, hyperparameters={"learning_rate": 0.1}, kind=kind,
        **more,
    )  # fmt: skip
    return StoredPortrait(portrait=portrait, examples=pl.DataFrame(columns))


def table(seed: int, n: int, *, clean: bool) -> dict[str, Any]:
    rng = generator(seed, "portrait")
    columns = {
        "example": np.arange(n), "count": rng.integers(0, 3, n), "label": rng.integers(0, 3, n),
        "transitions": rng.integers(0, 3, n), "correctness": rng.integers(0, 3, n) / 2,
        "aum": rng.integers(-4, 5, n) / 2, "confidence": rng.integers(0, 4, n) / 4,
        "mean_loss": rng.integers(0, 4, n) / 4,
    }  # fmt: skip
    return columns | ({"clean": rng.integers(0, 3, n)} if clean else {})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 120), st.booleans(), st.sampled_from(["predictions", "losses"]))
def test_shares_are_counted(seed: int, n: int, clean: bool, kind: str) -> None:
    columns = table(seed, n, clean=clean)
    found = read(stored(columns, kind))
    there = [i for i in range(n) if columns["count"][i] > 0]
    assert found.passes == 30 * 8 / n
    assert found.never_trained == pytest.approx(1 - len(there) / n)
    if kind == "losses" or not there:
        assert (found.never_learnt, found.forgotten) == (None, None)
    else:
        assert found.never_learnt == np.mean([columns["correctness"][i] == 0 for i in there])
        assert found.forgotten == np.mean([columns["transitions"][i] >= 1 for i in there])
    if not clean or not there:
        assert (found.suspects, dict(found.areas)) == (None, {})
        return
    wrong = [i for i in there if columns["label"][i] != columns["clean"][i]]
    lowest = sorted(there, key=lambda i: (columns["aum"][i], i))[:SUSPECTS]
    assert found.suspects.among == len(lowest) == min(50, len(there))
    assert found.suspects.wrong == len(set(lowest) & set(wrong))
    assert found.suspects.by_chance == pytest.approx(len(lowest) * len(wrong) / len(there))
    if not 0 < len(wrong) < len(there):
        assert dict(found.areas) == {}
        return
    assert set(found.areas) == set(SCORES) & set(columns)
    marks = np.isin(there, wrong)
    for name, area in found.areas.items():
        harder = columns[name][there] * (-1 if name in ("aum", "confidence", "correctness") else 1)
        assert area == area_under_roc(harder, marks)


def test_what_results_hold_of_a_portrait() -> None:
    fed = tuple(
        Fed(epoch=e, draws=40 + e, effective=0.5 + e / 10, unseen=0.2, never_seen=0.1 * e) for e in range(3)
    )
    found = read(stored(table(1, 90, clean=True), fed=fed, examples_forwarded=7, examples_backpropagated=5))
    (study,) = portrait_results([found], [])["studies"]
    assert study["effective"] == [0.5, 0.6, 0.7]
    assert study["unseen"] == [0.2] * 3
    assert study["never_seen"] == [0.0, 0.1, 0.2]
    assert (study["trial"], study["steps"], study["examples_trained"], study["examples_forwarded"]) == (
        3,
        30,
        5,
        7,
    )
    assert study["suspects"] == vars(found.suspects)
    for name, area in found.areas.items():
        kept = study["wrong_labels_found"][name]
        assert (kept["area_under_roc"], kept["interval"]) == (area.area, list(area.interval))
    assert [(epoch.number, epoch.draws) for epoch in found.fed] == [(1, 40), (2, 41), (3, 42)]
    assert found.of_classes
    assert not read(stored(table(1, 9, clean=False), "losses")).of_classes
    assert portrait_results([], []) == {"conclusions": [], "studies": []}


def test_what_is_looked_at_keeps_its_order_and_its_names() -> None:
    shown = (
        ShownExample(example=10, id="ten", score=-2.5, label="a", predicted="b", clean="b"),
        ShownExample(example=20, score=None, label="b", predicted="b", clean="b"),
        ShownExample(example=30, label=None, clean="b"),
        ShownExample(example=40, label="b"),
    )
    gallery = ExamplesShown(
        walls=(ShownGroup(name="suspicious", exhibits=shown), ShownGroup(name="hardest", exhibits=())),
        unshown="why",
    )
    found = looked_at(gallery)
    assert list(found.groups) == ["suspicious"]
    assert found.note == "why"
    assert [example.name for example in found.groups["suspicious"]] == ["ten", 20, 30, 40]
    assert [example.is_wrong for example in found.groups["suspicious"]] == [True, False, None, None]


def change(before: str, why: str | None) -> Any:
    return SimpleNamespace(before=before, why=why, what=("code", "data"))


def test_changes_of_the_workload_are_told_with_the_trials_from_before() -> None:
    facts: Any = SimpleNamespace(changes=[change("a", "fine"), change("b", None)], random_items=False)
    assert warn_of_changes(None, ["a"]) == []
    first, second = warn_of_changes(facts, ["a", "a", "b", None, "c"])
    assert (
        first.startswith("2 of 5 trials were trained before") and '"fine"' in first and "code; data" in first
    )
    assert second.startswith("1 of 5 trials were trained") and "fingerprints" in second
    facts.random_items = True
    assert len(warn_of_changes(facts, [])) == 3
    outcome: Any = SimpleNamespace(earlier=4, changes=facts.changes, facts=facts)
    assert [sentence[:1] for sentence in warn_of_search(outcome)[:2]] == ["4", "4"]
    assert len(warn_of_search(outcome)) == 3
    outcome.earlier, facts.random_items = 0, False
    assert warn_of_search(outcome) == []


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"a": NaN', '"x"'])
def test_results_are_an_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text('{"a": [1, null]}')
    assert read_object(tmp_path / "results.json") == {"a": [1, None]}
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(HeadraceError, match="results"):
        read_object(tmp_path / "results.json")
