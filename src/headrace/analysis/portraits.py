"""What portraits say of the examples: who was never learnt, what was fed, and whether labels look wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.analysis import words
from headrace.analysis.looked_at import LookedAt, looked_at
from headrace.analysis.roc import Area, area_under_roc
from headrace.histories.registry import SCORES
from headrace.store.portrait_records import Fed, Portrait
from headrace.store.rankings import extremes
from headrace.training.registry import in_words

if TYPE_CHECKING:
    import polars as pl

    from headrace.store.portraits import StoredPortrait

SUSPECTS = 50


@dataclass(frozen=True, kw_only=True)
class Suspects:
    """How many of the examples with the lowest AUM carry a wrong label.

    Attributes:
        wrong: So many.
        among: Of this many.
        by_chance: So many would if they were drawn at random.
    """

    wrong: int
    among: int
    by_chance: float


@dataclass(frozen=True, kw_only=True)
class FedEpoch:
    """What one whole epoch trained on; shares are of the training set, see `store.portrait_records.Fed`.

    Attributes:
        number: From 1.
        draws: Examples trained on, repetitions counted.
        effective: The effective sample size; 1 where all examples count alike.
        unseen: Without weight in this epoch.
        never_seen: Without weight in this epoch and in all before it.
    """

    number: int
    draws: int
    effective: float
    unseen: float
    never_seen: float


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A portrait and what it says.

    Attributes:
        portrait: How it was made.
        examples: One row an example, see `StoredPortrait`.
        passes: Examples trained on, over the size of the training set.
        never_trained: The share of the training set that was never trained on.
        never_learnt: The share of what was trained on that was never predicted right; None without classes.
        forgotten: The share of what was trained on that went from right to wrong at least once; or None.
        areas: Score -> how well it finds wrong labels; empty where the right ones are not known.
        suspects: The lowest AUM, where the right labels are known.
    """

    portrait: Portrait
    examples: pl.DataFrame
    passes: float
    never_trained: float
    never_learnt: float | None = None
    forgotten: float | None = None
    areas: Mapping[str, Area]
    suspects: Suspects | None = None

    @property
    def policy(self) -> str:
        """Its policy."""
        return self.portrait.study.configuration.policy

    @property
    def of_classes(self) -> bool:
        """Whether the targets are classes, so that there are predictions of them."""
        return self.portrait.kind == "predictions"

    @property
    def fed(self) -> tuple[FedEpoch, ...]:
        """What each whole epoch trained on."""
        return tuple(
            FedEpoch(
                number=row.epoch + 1,
                draws=row.draws,
                effective=row.effective,
                unseen=row.unseen,
                never_seen=row.never_seen,
            )
            for row in self.portrait.fed
        )

    @property
    def looked_at(self) -> LookedAt:
        """Some examples to be looked at."""
        return looked_at(self.portrait.gallery)


def read(stored: StoredPortrait) -> Reading:
    """What a portrait that did not fail says."""
    portrait, table = stored.portrait, stored.examples
    columns = {name: table[name].to_numpy() for name in table.columns}
    there = columns["count"] > 0
    known = portrait.kind == "predictions" and bool(there.any())
    wrong = _wrong(columns) if there.any() else None
    return Reading(
        portrait=portrait,
        examples=table,
        passes=portrait.steps * portrait.study.configuration.batch_size / len(there),
        never_trained=float((~there).mean()),
        never_learnt=float((columns["correctness"][there] <= 0).mean()) if known else None,
        forgotten=float((columns["transitions"][there] > 0).mean()) if known else None,
        areas=_areas(columns, there, wrong),
        suspects=None if wrong is None else _suspects(columns, there, wrong),
    )


def _wrong(columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Which labels are known to be wrong; None where the right ones are not known."""
    if "clean" not in columns or "aum" not in columns:
        return None
    return columns["label"] != columns["clean"]


def _areas(columns: Mapping[str, np.ndarray], there: np.ndarray, wrong: np.ndarray | None) -> dict[str, Area]:
    """How well each score separates wrong labels from right ones, of the examples that were trained on."""
    if wrong is None or wrong[there].all() or not wrong[there].any():
        return {}
    return {
        name: area_under_roc((-1 if score.hard == "low" else 1) * columns[name][there], wrong[there])
        for name, score in SCORES.items()
        if name in columns
    }


def _suspects(columns: Mapping[str, np.ndarray], there: np.ndarray, wrong: np.ndarray) -> Suspects:
    found = extremes(columns["aum"], SUSPECTS, end="lowest", among=there)
    return Suspects(
        wrong=int(wrong[found].sum()), among=len(found), by_chance=len(found) * float(wrong[there].mean())
    )


def portrait_results(readings: Sequence[Reading], failed: Sequence[Portrait]) -> dict[str, Any]:
    """What results.json holds of the portraits; `analyse` rounds it."""
    return {
        "conclusions": [*conclude(readings), *(_failure(portrait) for portrait in failed)],
        "studies": [_study(reading) for reading in readings],
    }


def _study(reading: Reading) -> dict[str, Any]:
    made = reading.portrait
    return {
        "optimizer": made.study.optimizer,
        "configuration": made.study.configuration.model_dump(),
        "trial": made.trial,
        "steps": made.steps,
        "passes": reading.passes,
        "examples_trained": made.examples_backpropagated,
        "examples_forwarded": made.examples_forwarded,
        "never_trained": reading.never_trained,
        "never_learnt": reading.never_learnt,
        "forgotten": reading.forgotten,
        "effective": [fed.effective for fed in made.fed],
        "unseen": [fed.unseen for fed in made.fed],
        "never_seen": [fed.never_seen for fed in made.fed],
        "suspects": None if reading.suspects is None else dict(vars(reading.suspects)),
        "wrong_labels_found": {
            name: {
                "area_under_roc": area.area,
                "interval": None if area.interval is None else list(area.interval),
            }
            for name, area in reading.areas.items()
        },
    }


def conclude(readings: Sequence[Reading]) -> list[str]:
    """Sentences, those on wrong labels first; no difference between policies is claimed."""
    if not readings:
        return []
    return [
        *(sentence for reading in readings for sentence in _labels(reading)),
        *(f"{reading.policy}: {' '.join(_learnt(reading))}" for reading in readings),
        _caution(readings),
    ]


def _labels(reading: Reading) -> Iterator[str]:
    suspects, areas = reading.suspects, reading.areas
    if suspects is None or not areas:
        return
    best = max(areas, key=lambda name: areas[name].area)
    by_chance = words.number(round(suspects.by_chance, 1))
    other = "" if best == "aum" else f", aum one of {_area(areas['aum'])}"
    yield (
        f"{reading.policy}: of the {suspects.among} most suspicious examples, those with the lowest AUM, "
        f"{suspects.wrong} carry a wrong label; of as many drawn at random {by_chance} would. Of the scores "
        f"{best} has the largest area under the ROC curve, {_area(areas[best])}{other}."
    )


def _area(area: Area) -> str:
    spread = f" (95% interval {words.interval(area.interval)})" if area.interval else ""
    return f"{words.number(area.area)}{spread}"


def _learnt(reading: Reading) -> Iterator[str]:
    passes = words.number(float(f"{reading.passes:.2g}"))
    if reading.never_learnt is not None:
        yield (
            f"{words.percent(reading.never_learnt)} of the examples were never predicted right in {passes} "
            f"passes, and {words.percent(reading.forgotten or 0.0)} were forgotten at least once."
        )
    else:
        yield f"It was trained for {passes} passes."
    yield from _fed(reading.portrait.fed)
    if reading.never_trained:
        yield f"{words.percent(reading.never_trained)} were never trained on."


def _fed(fed: Sequence[Fed]) -> Iterator[str]:
    if not fed or all(row.effective > 1 - 1e-9 and row.unseen == 0 for row in fed):
        return
    effective = sum(row.effective for row in fed) / len(fed)
    unseen = sum(row.unseen for row in fed) / len(fed)
    yield (
        f"An epoch weighed on average as much as {words.percent(effective)} of the training set, "
        f"and left out {words.percent(unseen)} of it."
    )


def _caution(readings: Sequence[Reading]) -> str:
    key = readings[0].portrait.study
    whose = "Each portrait is" if len(readings) > 1 else "The portrait is"
    optimizer = in_words(key.optimizer)
    return (
        f"{whose} of one training run: the best trial at batch size "
        f"{words.number(key.configuration.batch_size)} with {optimizer}, trained again after the studies. "
        "It describes the examples; it shows no difference between policies."
    )


def _failure(portrait: Portrait) -> str:
    policy = portrait.study.configuration.policy
    return f"{policy}: there is no portrait because making it raised {portrait.error}."
