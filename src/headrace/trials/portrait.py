"""Making a portrait, in a worker process: the trial again, and what it shows about every example."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headrace.arrays import on_host
from headrace.histories.history import History, LossHistory
from headrace.histories.scores import SCORES
from headrace.sampling.plan import Need
from headrace.sealed_tables import plain_parquet
from headrace.store.portrait_choice import PortraitTask
from headrace.store.portrait_records import ExamplesShown, Portrait
from headrace.store.rankings import LOSSES, PREDICTIONS, rank
from headrace.trials.fed import FedLog
from headrace.trials.feed import Memory, feed, predicts_classes, targets_of, width
from headrace.trials.running import begin
from headrace.trials.setting import Setting
from headrace.trials.shown import Labels, show_examples
from headrace.workloads.registry import describe
from headrace.workloads.showing import shower

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headrace.sampling.batches import Batch

MOST_CLASSES = 256
"""With more classes it is not kept which one was predicted most often."""


@dataclass(kw_only=True)
class _Training:
    """What is known when the trial was trained again."""

    memory: Memory
    log: FedLog
    handed_out: int = 0
    forwarded: int = 0
    backpropagated: int = 0


def portray(setting: Setting, task: PortraitTask) -> tuple[Portrait, bytes]:
    """The portrait, and its table of all examples as the content of a Parquet file.

    An error of the user's code becomes the portrait's: the studies' results do not depend on it.
    """
    start = time.perf_counter()
    made_of: dict[str, Any] = {
        "study": task.study,
        "trial": task.trial,
        "hyperparameters": setting.experiment.hyperparameters(task.study, task.trial),
        "goal_step": task.goal_step,
        "asked_steps": task.steps,
    }
    try:
        training, steps = _training(setting, task)
        columns = _columns(setting, training.memory)
        gallery = _examples_shown(setting, columns)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (any error of the user's model, loss or data)
        return Portrait(**made_of, error=describe(error)), plain_parquet({})
    known = isinstance(training.memory.history, History)
    portrait = Portrait(
        **made_of,
        steps=steps,
        examples_forwarded=training.forwarded,
        examples_backpropagated=training.backpropagated,
        seconds=time.perf_counter() - start,
        kind="predictions" if known else "losses",
        fed=training.log.rows(training.handed_out),
        gallery=gallery,
    )
    return portrait, plain_parquet(columns)


def _training(setting: Setting, task: PortraitTask) -> tuple[_Training, int]:
    """Train; where that diverges after the goal was reached, again and only to the goal."""
    training = _trained(setting, task, task.steps)
    history = training.memory.history
    if history is None or bool(torch.isfinite(history.mean("loss")).all()) or not task.goal_step:
        return training, task.steps
    return _trained(setting, task, task.goal_step), task.goal_step


def _trained(setting: Setting, task: PortraitTask, steps: int) -> _Training:
    study, trial, examples = task.study, task.trial, len(setting.workload.train)
    values = setting.experiment.hyperparameters(study, trial)
    weights = None if setting.weights is None else on_host(setting.weights, np.float64)
    training = _Training(memory=Memory(_wanted(setting), setting), log=FedLog(examples, weights))
    budget = setting.budget_steps(study)
    fed = feed(setting, study, trial, values, budget, log=training.log)

    def record(indices: Tensor, outputs: Tensor, targets: Tensor) -> None:
        training.memory.record(indices, outputs, targets)
        if fed.record is not None:
            fed.record(indices, outputs, targets)

    def counted() -> Iterator[Batch]:
        for batch in fed.batches:
            training.handed_out += len(batch)
            yield batch

    measurements = begin(
        setting,
        study,
        trial,
        replace(fed, batches=counted()),
        setting.new_model(study, trial),
        values=values,
        evaluation_steps=(0, steps),
        evaluate=lambda _: {},
        record=record,
    )
    # Should it diverge, that shows in the history, and NumPy need not warn.
    with np.errstate(over="ignore", invalid="ignore"):
        *_, last = measurements
    training.forwarded = last.examples_forwarded + fed.forwarded
    training.backpropagated = last.examples_backpropagated + fed.backpropagated
    return training


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


def _examples_shown(setting: Setting, columns: Mapping[str, np.ndarray]) -> ExamplesShown:
    rankings = PREDICTIONS if "aum" in columns else LOSSES
    ranked = {ranking: rank(ranking, columns) for ranking in rankings}
    groups = {ranking.name: (found, columns[ranking.column][found]) for ranking, found in ranked.items()}
    names = setting.workload.classes
    labels = Labels(
        given=_words(columns.get("label"), names),
        predicted=_words(columns.get("predicted"), names),
        clean=_words(columns.get("clean"), names),
    )
    return show_examples(groups, shower(setting.workload), labels, setting.workload.example_ids)


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
