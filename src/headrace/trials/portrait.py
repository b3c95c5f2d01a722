"""Making a portrait, in a worker process: the trial again, and what it tells of every example."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headrace.arrays import on_host
from headrace.histories.history import History, LossHistory
from headrace.histories.scores import SCORES
from headrace.sampling.plan import Need
from headrace.store.portrait_choice import Sitting
from headrace.store.portrait_records import Gallery, Portrait
from headrace.store.rankings import LOSSES, PREDICTIONS, rank
from headrace.trials.fed import FedLog
from headrace.trials.feed import Memory, feed, predicts_classes, targets_of, width
from headrace.trials.gallery import Labels, hang
from headrace.trials.running import begin
from headrace.trials.setting import Setting
from headrace.workloads.registry import describe
from headrace.workloads.showing import shower

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headrace.sampling.batches import Batch

MOST_CLASSES = 256
"""With more classes it is not kept which one was predicted most often."""


@dataclass(kw_only=True)
class _Witness:
    """What is known when the trial was trained again."""

    memory: Memory
    log: FedLog
    handed_out: int = 0
    forwarded: int = 0
    backpropagated: int = 0


def portray(setting: Setting, sitting: Sitting) -> tuple[Portrait, bytes]:
    """The portrait, and its table of all examples as the content of a Parquet file.

    An error of the user's code becomes the portrait's: the studies' results do not depend on it.
    """
    start = time.perf_counter()
    told: dict[str, Any] = {
        "study": sitting.study,
        "trial": sitting.trial,
        "hyperparameters": setting.experiment.hyperparameters(sitting.study, sitting.trial),
        "goal_step": sitting.goal_step,
        "asked_steps": sitting.steps,
    }
    try:
        witness, steps = _witness(setting, sitting)
        columns = _columns(setting, witness.memory)
        gallery = _gallery(setting, columns)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever the user's model, loss or data raise)
        return Portrait(**told, error=describe(error)), _parquet({})
    known = isinstance(witness.memory.history, History)
    portrait = Portrait(
        **told,
        steps=steps,
        examples_forwarded=witness.forwarded,
        examples_backpropagated=witness.backpropagated,
        seconds=time.perf_counter() - start,
        kind="predictions" if known else "losses",
        fed=witness.log.rows(witness.handed_out),
        gallery=gallery,
    )
    return portrait, _parquet(columns)


def _witness(setting: Setting, sitting: Sitting) -> tuple[_Witness, int]:
    """Train; where that diverges after the goal was reached, again and only to the goal."""
    witness = _trained(setting, sitting, sitting.steps)
    history = witness.memory.history
    if history is None or bool(torch.isfinite(history.mean("loss")).all()) or not sitting.goal_step:
        return witness, sitting.steps
    return _trained(setting, sitting, sitting.goal_step), sitting.goal_step


def _trained(setting: Setting, sitting: Sitting, steps: int) -> _Witness:
    study, trial, examples = sitting.study, sitting.trial, len(setting.workload.train)
    values = setting.experiment.hyperparameters(study, trial)
    weights = None if setting.weights is None else on_host(setting.weights, np.float64)
    witness = _Witness(memory=Memory(_wanted(setting), setting), log=FedLog(examples, weights))
    budget = setting.experiment.budget_steps(study, examples)
    fed = feed(setting, study, trial, values, budget, log=witness.log)

    def record(indices: Tensor, outputs: Tensor, targets: Tensor) -> None:
        witness.memory.record(indices, outputs, targets)
        if fed.record is not None:
            fed.record(indices, outputs, targets)

    def counted() -> Iterator[Batch]:
        for batch in fed.batches:
            witness.handed_out += len(batch)
            yield batch

    measurements = begin(
        setting,
        study,
        trial,
        replace(fed, batches=counted()),
        setting.new_model(study, trial),
        evaluation_steps=(0, steps),
        evaluate=lambda _: {},
        record=record,
    )
    # Should it diverge, that shows in the history, and NumPy need not warn.
    with np.errstate(over="ignore", invalid="ignore"):
        *_, last = measurements
    witness.forwarded = last.examples_forwarded + fed.forwarded
    witness.backpropagated = last.examples_backpropagated + fed.backpropagated
    return witness


def _wanted(setting: Setting) -> frozenset[Need]:
    labels = predicts_classes(setting) and 2 <= width(setting) <= MOST_CLASSES
    return frozenset({"history", "label_window"} if labels else {"history"})


def _columns(setting: Setting, memory: Memory) -> dict[str, np.ndarray]:
    """One value per example in each column; `label`, `predicted` and `clean` are classes."""
    history = memory.history
    assert history is not None
    targets, clean = targets_of(setting), setting.workload.clean_targets
    columns = {"example": np.arange(len(targets)), "count": history.count.cpu().numpy().astype(np.int64)}
    if (ids := setting.workload.example_ids) is not None:
        columns["id"] = ids
    if isinstance(history, LossHistory):
        single = setting.workload.kind == "numbers" and targets.ndim == 1
        numbers = {"label": targets.numpy()} if single else {}
        own = {name: score(history) for name, score in SCORES.items() if not score.needs_predictions}
        return columns | numbers | own
    columns["label"] = targets.numpy()
    if memory.window is not None:
        columns["predicted"] = memory.window.most_frequent().cpu().numpy()
    if clean is not None:
        columns["clean"] = clean.cpu().numpy()
    columns["transitions"] = history.transitions().cpu().numpy().astype(np.int64)
    return columns | {name: score(history) for name, score in SCORES.items()}


def _gallery(setting: Setting, columns: Mapping[str, np.ndarray]) -> Gallery:
    rankings = PREDICTIONS if "aum" in columns else LOSSES
    ranked = {ranking: rank(ranking, columns) for ranking in rankings}
    walls = {ranking.name: (found, columns[ranking.column][found]) for ranking, found in ranked.items()}
    names = setting.workload.classes
    labels = Labels(
        given=_words(columns.get("label"), names),
        predicted=_words(columns.get("predicted"), names),
        clean=_words(columns.get("clean"), names),
    )
    return hang(walls, shower(setting.workload), labels, setting.workload.example_ids)


def _words(column: np.ndarray | None, names: tuple[str, ...] | None) -> Callable[[int], str | None]:
    """The labels of a column in words: the classes' names, or the numbers."""

    def word(example: int) -> str | None:
        if column is None:
            return None
        value = column[example]
        if names is not None and column.dtype.kind in "iu":
            return names[int(value)] if 0 <= int(value) < len(names) else None
        return f"{value:.4g}" if column.dtype.kind == "f" else str(value)

    return word


def _parquet(columns: Mapping[str, np.ndarray]) -> bytes:
    import polars as pl

    buffer = BytesIO()
    pl.DataFrame(dict(columns)).write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
