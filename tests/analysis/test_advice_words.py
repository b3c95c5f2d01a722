"""What is said of a recommendation: one sentence if all three are one choice, else one each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from headrace.analysis import advice_words


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("aaa", ["Fastest, cheapest and the best compromise are the same: a."]),
        ("aab", ["Fastest: a.", "Cheapest: a.", "The best compromise of time and cost: b."]),
        ("aba", ["Fastest: a.", "Cheapest: b.", "The best compromise of time and cost: a."]),
        ("abc", ["Fastest: a.", "Cheapest: b.", "The best compromise of time and cost: c."]),
    ],
)
@pytest.mark.parametrize("workers", [(1, 1), (1, 4)])
def test_what_is_the_same_is_said_once(
    monkeypatch: pytest.MonkeyPatch, chosen: str, said: list[str], workers: tuple[int, int]
) -> None:
    monkeypatch.setattr(advice_words, "_told", lambda pick, _tokens: pick.option.name)
    options = {name: SimpleNamespace(name=name, workers=1) for name in "abc"}
    picks = {
        aim: SimpleNamespace(option=options[name])
        for aim, name in zip(("fastest", "cheapest", "knee"), chosen, strict=True)
    }
    found: Any = SimpleNamespace(picks=picks, options=[SimpleNamespace(workers=count) for count in workers])
    alone = ["With one worker time and cost are the same."] if workers == (1, 1) else []
    assert advice_words.paragraph(found, ["A caveat."]) == " ".join([*said, *alone, "A caveat."])
