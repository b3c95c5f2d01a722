"""The names of scores, and facts about each that need no history. Imports no torch.

A score is added by a file with its function, decorated by `histories.score.score`, and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.homes import Entry

_HERE = "headrace.histories.scores:"


@dataclass(frozen=True, kw_only=True)
class ScoreEntry(Entry):
    """A score.

    Attributes:
        hard: Whether high or low values mean hard examples.
        needs_predictions: Whether a history of losses alone is not enough.
        negative: Whether it can be below 0, so that policies cannot draw or weigh by it.
        order_of: The score that puts the examples in the same order, or in the reverse one, if there is one.
    """

    hard: Literal["high", "low"]
    needs_predictions: bool = True
    negative: bool = False
    order_of: str | None = None


SCORES: dict[str, ScoreEntry] = {
    "difficulty": ScoreEntry(home=_HERE + "difficulty", hard="high"),
    "easiness": ScoreEntry(home=_HERE + "easiness", hard="low", order_of="difficulty"),
    "prediction_variance": ScoreEntry(home=_HERE + "prediction_variance", hard="high"),
    "threshold_closeness": ScoreEntry(home=_HERE + "threshold_closeness", hard="high"),
    "mean_loss": ScoreEntry(home=_HERE + "mean_loss", hard="high", needs_predictions=False),
    "loss_variance": ScoreEntry(home=_HERE + "loss_variance", hard="high", needs_predictions=False),
    "confidence": ScoreEntry(home=_HERE + "confidence", hard="low", order_of="difficulty"),
    "variability": ScoreEntry(home=_HERE + "variability", hard="high"),
    "correctness": ScoreEntry(home=_HERE + "correctness", hard="low"),
    "forgetting": ScoreEntry(home=_HERE + "forgetting", hard="high"),
    "el2n": ScoreEntry(home=_HERE + "el2n", hard="high"),
    "aum": ScoreEntry(home=_HERE + "aum", hard="low", negative=True),
}
"""Name -> score, in the order in which tables show them."""
