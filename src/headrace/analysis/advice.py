"""From a store and its step times to a recommendation, in numbers and in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace import random
from headrace.analysis import words
from headrace.analysis.advice_words import paragraph
from headrace.analysis.recommendation import Option, Recommendation, recommend, to_dict
from headrace.analysis.rounding import rounded
from headrace.analysis.run_lengths import RunLength, run_lengths
from headrace.analysis.step_time import StepTime, StepTimeModel, at, fit_model, from_records
from headrace.analysis.studies import FORWARD, Curve, Study, read_studies
from headrace.analysis.surface import Surface
from headrace.analysis.throughput import exchanges, step_times
from headrace.analysis.tuned import surfaces_of
from headrace.errors import InputError
from headrace.specs.tables import WorkloadTable

if TYPE_CHECKING:
    from headrace.store.experiments import StoredExperiment
    from headrace.store.throughput import Throughput

FORMAT = 2
"""Of the JSON object; since 2 `steps` are those expected of a fresh run, if `basis` is "surface"."""
DRAWS = 2000
_Z = 1.96


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation with what it rests on.

    Attributes:
        found: The options and the best of them.
        source: Where the step times are from: "throughput.json" or "trial records".
        models: Optimizer -> its step-time model.
        caveats: What was taken for granted, in sentences.
        tokens: How many tokens an example has on average; None if tokens are not the unit.
    """

    found: Recommendation
    source: str
    models: dict[str, StepTimeModel]
    caveats: tuple[str, ...]
    tokens: float | None = None

    @property
    def paragraph(self) -> str:
        """The recommendation in plain words."""
        return paragraph(self.found, self.caveats, self.tokens)

    def to_dict(self) -> dict[str, Any]:
        """The object that `headrace recommend --json` prints; numbers of six digits."""
        return rounded(
            {
                "format": FORMAT,
                **({} if self.tokens is None else {"tokens_per_example": self.tokens}),
                "recommendation": to_dict(self.found, self.tokens),
                "step_time_source": self.source,
                "step_time_models": {name: vars(model) for name, model in self.models.items()},
                "caveats": list(self.caveats),
                "words": self.paragraph,
            }
        )


def advise(
    stored: StoredExperiment,
    measured: Throughput | None,
    *,
    workers: Sequence[int] | None = None,
    level: float = 0.95,
    studies: Sequence[Study] | None = None,
    surfaces: Mapping[Curve, Surface | None] | None = None,
) -> Advice:
    """Put the steps to the goal and the step times of a store together.

    Args:
        stored: From `headrace.store.experiments.load`; studies that are not decided are left out.
        measured: What `headrace throughput` measured. None: the seconds that the trials' records carry.
        workers: The numbers of workers to weigh up; None for those that were measured.
        level: The level of the intervals.
        studies: What `read_studies` gave of the store; None: it is read here.
        surfaces: The curves' tuned surfaces; None: they are fitted here.

    Raises:
        InputError: No study reached the goal, or no step time is known.
        DamagedError: A stored part is truncated or was altered.
    """
    every = studies or read_studies(stored)
    studies = _reached(stored, every)
    if measured:
        _check_same(stored, measured)
    times = _step_times(stored, measured, studies)
    moved = exchanges(measured) if measured else []
    optimizers = list(dict.fromkeys(study.key.optimizer for study in studies))
    _check_optimizers(stored, times, optimizers)
    models = {name: fit_model(times, moved, optimizer=name) for name in optimizers}
    counts = sorted(set(workers)) if workers else sorted({time.workers for time in times})
    _check_workers(counts)
    cells = [(study, count) for study in studies for count in _counts(study, counts)]
    known = [(study, count) for study, count in cells if _is_known(times, models, study, count)]
    if not known:
        raise _untimed(stored, studies, counts, workers or ())
    fitted = surfaces_of(every) if surfaces is None else surfaces
    lengths = run_lengths(every, fitted, count=DRAWS, seed=stored.experiment.seed)
    options = [
        _option(
            study,
            lengths[study.key.name],
            at(times, models[study.key.optimizer], study.key.optimizer, study.batch_size, count),
            stored.experiment.seed,
            recorded=not measured,
        )
        for study, count in known
    ]
    found = recommend(options, level=level)
    source = "throughput.json" if measured else "trial records"
    left_out = _left_out(counts, [count for _, count in cells], [count for _, count in known])
    said = _caveats(found, source, moved, studies)
    caveats = (*_basis(found), *said, *_exact(found, models), *left_out)
    tokens = stored.facts.tokens_per_example if stored.facts else None
    return Advice(found=found, source=source, models=models, caveats=caveats, tokens=tokens)


def _reached(stored: StoredExperiment, studies: Sequence[Study]) -> list[Study]:
    """The studies that reached the goal."""
    found = [study for study in studies if study.result.steps]
    if not found:
        raise InputError(
            "no study has reached the goal, so there is nothing to recommend",
            where=str(stored.directory),
            fix="Let the run finish, or give the experiment a larger budget or an easier goal.",
        )
    return found


def _step_times(
    stored: StoredExperiment, measured: Throughput | None, studies: Sequence[Study]
) -> Sequence[StepTime]:
    """The step times that were measured, or else those that the trials carry."""
    times = step_times(measured) if measured else _recorded(stored, studies)
    if not times:
        raise InputError(
            "no step time is known: the trials carry no seconds",
            where=str(stored.directory),
            fix="Run: headrace throughput EXPERIMENT.toml --out DIR",
        )
    return times


def _untimed(
    stored: StoredExperiment, studies: Sequence[Study], counts: Sequence[int], asked: Sequence[int]
) -> InputError:
    """No step time of these studies was measured."""
    needed = sorted({study.key.configuration.workers for study in studies} | set(asked))
    options = "".join(f" --workers {count}" for count in needed)
    return InputError(
        "no step times were measured for these studies at the requested numbers of workers",
        where=str(stored.directory),
        got=f"times of {words.listed([str(count) for count in counts])} workers",
        fix=f"Run: headrace throughput EXPERIMENT.toml --out DIR{options}",
    )


def _check_same(stored: StoredExperiment, measured: Throughput) -> None:
    """Refuse step times of another workload."""
    mine = stored.experiment.workload
    other_settings = measured.settings is not None and measured.settings != mine.settings
    if measured.workload != mine.name or other_settings:
        raise InputError(
            f"throughput.json is of another workload than {mine.described}",
            where=str(stored.directory),
            got=WorkloadTable(name=measured.workload, settings=measured.settings or {}).described,
            fix="Run headrace throughput with this folder's experiment.toml.",
        )
    _check_unchanged(stored, measured)


def _check_unchanged(stored: StoredExperiment, measured: Throughput) -> None:
    """Refuse step times of other code or data than the trials'; their goal and versions do not matter."""
    mine = stored.facts.fingerprint if stored.facts else None
    if mine is None or measured.fingerprint is None:
        return
    theirs = measured.fingerprint.model_copy(update={"goal": mine.goal})
    if found := mine.differences(theirs, versions=False):
        raise InputError(
            f"throughput.json is of another workload than the trials: {'; '.join(found)}",
            where=str(stored.directory),
            fix="Run headrace throughput again.",
        )


def _check_optimizers(stored: StoredExperiment, times: Sequence[StepTime], optimizers: Sequence[str]) -> None:
    """Refuse step times that leave an optimizer out."""
    timed = {time.optimizer for time in times if time.workers == 1}
    missing = [name for name in optimizers if name not in timed]
    if missing:
        raise InputError(
            f"no step time of one worker was measured with {words.listed(missing)}",
            where=str(stored.directory),
            got=sorted({time.optimizer for time in times}),
            fix="Run headrace throughput with this folder's experiment.toml, one worker included.",
        )


def _is_known(
    times: Sequence[StepTime], models: Mapping[str, StepTimeModel], study: Study, count: int
) -> bool:
    """Whether the step time was measured, or the model gives it: one of a single batch size does not."""
    name, size = study.key.optimizer, study.batch_size
    there = any((t.optimizer, t.batch_size, t.workers) == (name, size, count) for t in times)
    return there or models[name].sizes > 1


def _exact(found: Recommendation, models: Mapping[str, StepTimeModel]) -> list[str]:
    """If the model's error says nothing about it."""
    if not any(not option.measured and models[option.optimizer].sizes <= 2 for option in found.options):
        return []
    return ["Two batch sizes are met exactly by the model, so how far its step times are off is not known."]


def _left_out(asked: Sequence[int], possible: Sequence[int], known: Sequence[int]) -> list[str]:
    """Which numbers of workers were not weighed up, and why."""
    said: list[str] = []
    too_many = [str(count) for count in asked if count not in possible]
    if too_many:
        said.append(
            f"Left out: {words.listed(too_many)} workers, more than a batch has examples or other than the "
            "studies' own."
        )
    untold = [str(count) for count in asked if count in possible and count not in known]
    if untold:
        said.append(
            f"Left out: {words.listed(untold)} workers, whose steps were not timed; one batch size alone "
            "does not show what they would take."
        )
    return said


def _recorded(stored: StoredExperiment, studies: Sequence[Study]) -> tuple[StepTime, ...]:
    found = [
        from_records(
            stored.study_records(study.key.name),
            optimizer=study.key.optimizer,
            batch_size=study.batch_size,
            # Trials are trained in one process, for any number of workers they play.
            workers=1,
        )
        for study in studies
    ]
    return tuple(time for time in found if time is not None)


def _check_workers(counts: Sequence[int]) -> None:
    if counts[0] < 1:
        raise InputError("must be at least 1", where="workers", got=counts[0])


def _counts(study: Study, counts: Sequence[int]) -> list[int]:
    """The numbers of workers that the study's S(B) is about: any, if its own number is 1."""
    own = study.key.configuration.workers
    return [count for count in counts if count <= study.batch_size and own in (1, count)]


def _option(study: Study, length: RunLength, time: StepTime, seed: int, *, recorded: bool) -> Option:
    """The option with its draws; the draws of a study's steps are the same for every number of workers."""
    configuration, name = study.key.configuration, study.key.name
    # The records' own seconds hold every pass.
    more = 1.0 if recorded else 1.0 + FORWARD * (max(study.passes or 1.0, 1.0) - 1.0)
    rng = random.generator(seed, "recommendation", "time", name, time.workers)
    spread = np.log(time.high / time.low) / (2 * _Z)
    per_step = time.seconds * np.exp(spread * rng.standard_normal(DRAWS))
    return Option(
        optimizer=study.key.optimizer,
        subset=configuration.subset,
        policy=configuration.policy,
        batch_size=study.batch_size,
        workers=time.workers,
        steps=length.steps,
        seconds_per_step=time.seconds * more,
        measured=time.measured,
        time_draws=length.draws * per_step * more,
        basis=length.basis,
        fewest=float(study.result.steps or 0),
        hyperparameters=length.hyperparameters,
    )


def _basis(found: Recommendation) -> list[str]:
    """What the promised times are times of."""
    if found.options[0].basis == "surface":
        return [
            "Times are the mean over seeds of a fresh run with the hyperparameters named, by all trials of "
            "a curve together."
        ]
    return [
        "Times are those of the luckiest run of each search, because too few trials reached the goal, or "
        "hyperparameters without a logarithmic scale were tuned: expect a fresh run to take longer."
    ]


def _caveats(
    found: Recommendation, source: str, moved: Sequence[object], studies: Sequence[Study]
) -> list[str]:
    said: list[str] = []
    if source == "trial records":
        said.append(
            "Step times are those of the trials as they ran, several at once and with their evaluations; "
            "headrace throughput measures them alone."
        )
    if any(not option.measured for option in found.options):
        said.append("Step times marked as extrapolated are the model's, not measured.")
    if any(option.workers > 1 and not option.measured for option in found.options) and not moved:
        said.append(
            "The exchange of gradients between workers was not measured and is taken as free: with several "
            "workers times and costs are lower bounds."
        )
    if any(study.key.configuration.policy != "shuffle" for study in studies) and source != "trial records":
        said.append(
            "Step times were measured with shuffled batches; of what a policy adds, only forward passes "
            "beyond those that are trained on are counted, each as a third of training on the example."
        )
    return said
