"""`noise`: the gradient noise scale over training, next to the measured critical batch size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from headrace.cli._common import Json, counting, one_process, print_json, print_table, say
from headrace.cli._options import APath, check_number
from headrace.errors import InputError

if TYPE_CHECKING:
    from headrace.store.noise_course import NoiseCourse


def noise(
    directory: APath,
    *,
    batch_size: Annotated[list[int] | None, Parameter(negative="")] = None,
    examples: int = 1024,
    points: int = 12,
    gain: Annotated[bool, Parameter(negative="")] = False,
    matched: bool = False,
    json: Json = False,
) -> int:
    """Measure the gradient noise scale along the best trials of a run, into DIRECTORY/noise_scale.json.

    Each curve's best trial is trained again up to the goal. The figure is in DIRECTORY/figures, and
    headrace report shows it from then on, next to the measured critical batch size.

    Example: headrace noise runs/first --batch-size 64 --batch-size 1024
    Example: headrace noise runs/grid --gain

    Args:
        directory: The folder of a run, with its experiment.toml and results.json.
        batch_size: The best trials at these batch sizes. Default: the one nearest the critical batch size.
        examples: From how many examples' gradients each point is estimated.
        points: At how many steps of a trial.
        gain: Instead, of policies that draw or weigh examples without changing the objective: the noise under
            their own sampling, and the steps that it predicts, into DIRECTORY/noise_gain.json. Default batch
            sizes: all.
        matched: Also the noise scales in the norms of optimizers' steps: Euclidean (SGD), l1 (Adam,
            sign-like), nuclear (Muon), and preconditioned by Adam's second moments. They are monitors, as
            the noise scale is.
    """
    from headrace.analysis.noise_course import WARNING, best_trials, compare
    from headrace.analysis.rounding import rounded
    from headrace.cli.gains import measure
    from headrace.engines.inline import InlinePlace
    from headrace.files import guarded
    from headrace.report.figures.noise_scale import noise_figure
    from headrace.report.write import draw_all
    from headrace.store.experiments import read_experiment, read_facts
    from headrace.store.noise_course import NoiseCourses, write
    from headrace.trials.bench import Bench
    from headrace.trials.noise_course import measure_course

    one_process("noise")
    check_number("--points", points, 2, 10_000)
    check_number("--examples", examples, 3, 2**40)
    check_number("--batch-size", batch_size, 1, 2**40)
    results = _results(directory)
    experiment = read_experiment(directory)
    bench = Bench(experiment, InlinePlace())
    if (facts := read_facts(directory)) is not None:
        bench.expect(facts, versions=False)
    if gain:
        return measure(
            directory,
            experiment,
            results,
            bench,
            batch_sizes=batch_size,
            examples=examples,
            points=points,
            json=json,
        )
    best = best_trials(results, batch_size)
    with counting(len(best) * points) as tell:
        courses = [
            measure_course(
                bench.on(one.study.configuration.subset), one.study, one.trial, one.steps,
                points=points, examples=examples, matched=matched, progress=tell,
            )
            for one in best
        ]  # fmt: skip
    measured = NoiseCourses(courses=tuple(courses))
    with guarded(directory):
        path = write(directory, measured)
        found = [compare(course, results) for course in courses]
        draw_all([noise_figure(found)], directory, ("svg", "png"))
    sentences = [comparison.words for comparison in found]
    if json:
        told = [
            {**vars(one), "scales": [vars(scale) for scale in one.scales], **_matched(course)}
            for one, course in zip(found, courses, strict=True)
        ]
        print_json(rounded({"format": 1, "courses": told, "words": sentences, "warning": WARNING}))
        return 0
    rows = [
        (one.curve, one.batch_size, s.step, s.noise_scale, s.low, s.high) for one in found for s in one.scales
    ]
    print_table(("curve", "batch size", "step", "noise scale", "low", "high"), rows)
    if matched:
        columns = ("curve", "batch size", "step", "norm", "noise scale", "low", "high")
        print_table(columns, [
            (one.curve, one.batch_size, point.step, scale.norm, scale.noise_scale, scale.low, scale.high)
            for one, course in zip(found, courses, strict=True)
            for point in course.points
            for scale in point.matched
        ])  # fmt: skip
    for sentence in [*sentences, WARNING]:
        say(f"- {sentence}")
    say(f"\nMeasured: {path}; the figure: {directory / 'figures' / 'noise-scale.svg'}")
    return 0


def _matched(course: NoiseCourse) -> dict[str, object]:
    """The scales in the norms of optimizers; nothing if none were asked for."""
    found = [{"step": point.step, **scale.model_dump()} for point in course.points for scale in point.matched]
    return {"matched": found} if found else {}


def _results(directory: Path) -> dict[str, object]:
    from headrace.analysis.stored_results import read_object

    path = directory / "results.json"
    again = f"Run: headrace report {directory}"
    if not path.exists():
        run = (directory / "experiment.toml").is_file()
        fix = again if run else "Give the folder of a run: headrace run EXPERIMENT.toml --out DIR."
        raise InputError("the file does not exist", where=str(path), fix=fix)
    results = read_object(path)
    if "studies" not in results:
        raise InputError("holds no results of a run", where=str(path), fix=again)
    return results
