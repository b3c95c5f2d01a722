"""`noise --gain`: what policies are predicted to save, from the gradient noise under their own sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli._common import counting, print_json, print_table, say
from headrace.errors import InputError

if TYPE_CHECKING:
    from headrace.analysis.noise_course import Best
    from headrace.specs.experiment import Experiment
    from headrace.trials.bench import Bench


def measure(
    directory: Path,
    experiment: Experiment,
    results: Mapping[str, Any],
    bench: Bench,
    *,
    batch_sizes: Sequence[int] | None,
    examples: int,
    points: int,
    json: bool,
) -> int:
    """Measure, store and show it; the exit code.

    Raises:
        InputError: No study of the run has a policy to which the prediction applies.
    """
    from headrace.analysis.gain import predict
    from headrace.analysis.rounding import rounded
    from headrace.store.noise_gain import GainCourses, write
    from headrace.trials.noise_gain import measure_gain

    chosen = _chosen(experiment, results, bench, batch_sizes)
    with counting(len(chosen) * points) as tell:
        courses = [
            measure_gain(
                bench.on(one.study.configuration.subset), one.study, one.trial, one.steps,
                points=points, examples=examples, progress=tell,
            )
            for one in chosen
        ]  # fmt: skip
    measured = GainCourses(experiment=experiment.digest()[:16], courses=tuple(courses))
    path = write(directory, measured)
    found = [predict(course, experiment.seed) for course in courses]
    if json:
        print_json(rounded({"format": 1, "predicted": [one.to_dict() for one in found]}))
        return 0
    rows = [(one.study.name, one.ratio, *one.interval) for one in found]
    print_table(("study", "predicted steps, uniform sampling 1", "low", "high"), rows)
    say(f"\nMeasured: {path}. headrace report {directory} shows it next to the measured gain.")
    return 0


def _chosen(
    experiment: Experiment,
    results: Mapping[str, Any],
    bench: Bench,
    batch_sizes: Sequence[int] | None,
) -> list[Best]:
    """The best trials of the studies to which the prediction applies."""
    from headrace.analysis.gain_words import UNIFORM
    from headrace.analysis.noise_course import best_trials
    from headrace.trials.noise_gain import predictable

    policies = {name for name in experiment.grid.policy if name not in UNIFORM and predictable(name)}
    if not policies:
        raise InputError(
            "no policy of this run changes the sampling and leaves the objective as it is",
            where="--gain",
            got=list(experiment.grid.policy),
            fix="The prediction is for importance sampling, infobatch and gradient-norm.",
        )
    best = best_trials(results, batch_sizes or list(experiment.grid.batch_size))
    found = [
        one
        for one in best
        if one.study.configuration.policy in policies
        and bench.on(one.study.configuration.subset).weights is None
    ]
    if not found:
        raise InputError(
            "no study of these policies reached the goal on a subset without weights",
            where="--gain",
            got=sorted(policies),
        )
    return found
