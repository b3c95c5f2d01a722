"""Recommendations: hand cases, brute force over options, and from a store with its step times."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.analysis.advice import advise
from headrace.analysis.recommendation import Option, efficient, recommend, to_dict, winners
from headrace.analysis.studies import Study
from headrace.analysis.throughput import throughput_summary
from headrace.analysis.words import duration
from headrace.cli.app import execute
from headrace.errors import DamagedError, InputError
from headrace.specs.experiment import Experiment
from headrace.store.throughput import Exchange, Throughput, Timing, read, write

from .made_store import experiment, make_store, two_regimes


def option(batch_size: int, workers: int, seconds: float, spread: tuple[float, ...] = (1.0,)) -> Option:
    return Option(
        optimizer="sgd",
        subset="full",
        policy="shuffle",
        batch_size=batch_size,
        workers=workers,
        steps=10.0,
        seconds_per_step=seconds / 10,
        measured=True,
        time_draws=seconds * np.array(spread),
    )


def test_fastest_cheapest_and_knee_by_hand() -> None:
    # Costs 100, 120, 240 and 240; products 10000, 7200, 7200 x 2, 240 x 80.
    options = [option(8, 1, 100), option(32, 2, 60), option(128, 4, 60), option(256, 3, 80)]
    found = recommend(options)
    assert {aim: pick.option.batch_size for aim, pick in found.picks.items()} == {
        "fastest": 32,  # as fast as 128, and cheaper
        "cheapest": 8,
        "knee": 32,
    }
    assert [o.batch_size for o in found.frontier] == [32, 8]
    assert found.picks["knee"].option.device_seconds == 120


def test_an_equal_cost_goes_to_the_faster() -> None:
    found = recommend([option(8, 1, 100), option(32, 4, 25)])
    assert {pick.option.batch_size for pick in found.picks.values()} == {32}
    assert [o.batch_size for o in found.frontier] == [32]


def test_doubling_the_workers_must_save_29_percent_at_the_knee() -> None:
    for saved, expected in ((0.28, 1), (0.30, 2)):
        found = recommend([option(8, 1, 100), option(8, 2, 100 * (1 - saved))])
        assert found.picks["knee"].option.workers == expected


def test_intervals_carry_the_draws_and_hold_the_estimate() -> None:
    spread = tuple(np.linspace(1.0, 2.0, 101))
    found = recommend([option(8, 1, 100, spread), option(16, 1, 120, (1.0,) * 101)])
    pick = found.picks["fastest"]
    assert pick.option.batch_size == 8
    # The central 95 % of the draws is 102 to 198; the estimate widens it.
    assert pick.seconds == pytest.approx((100, 198))
    assert pick.batch_size == (8, 16)
    # 100 (1 + i/100) < 120 for i < 20; at 20 both are equal and the first is taken.
    assert pick.share == pytest.approx(21 / 101)


def test_draws_that_do_not_reach_the_goal() -> None:
    found = recommend([option(8, 1, 100, (1.0, math.inf, 1.0, math.inf)), option(16, 1, 200, (1.0,) * 4)])
    assert found.intervals[0] == (100, math.inf)
    assert found.picks["fastest"].share == 0.5
    never = recommend([option(8, 1, 100, (math.inf,))])
    assert never.picks["fastest"].share == 1
    with pytest.raises(InputError, match="no study reached the goal"):
        recommend([])


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 8)), min_size=1, max_size=12))
def test_the_frontier_and_the_winners_by_brute_force(pairs: list[tuple[int, int]]) -> None:
    seconds = np.array([float(t) for t, _ in pairs])
    workers = np.array([float(w) for _, w in pairs])
    cost = seconds * workers
    for i, on_it in enumerate(efficient(seconds, workers)):
        beaten = any(
            seconds[j] <= seconds[i] and cost[j] <= cost[i] and (seconds[j], cost[j]) != (seconds[i], cost[i])
            for j in range(len(pairs))
        )
        assert bool(on_it) != beaten
    for aim, value in (("fastest", seconds), ("cheapest", cost), ("knee", seconds * cost)):
        best = winners(seconds[None], workers, aim)[0]
        assert value[best] == value.min()
        assert efficient(seconds, workers)[best]


def made_throughput() -> Throughput:
    return Throughput(
        workload="digits-mlp",
        device="cpu",
        machine="made",
        parameters=7,
        timings=tuple(
            Timing(optimizer="sgd", batch_size=b, steps_per_block=1, seconds_per_step=(1e-3 + 1e-5 * b,) * 7)
            for b in (4, 16, 64, 256)
        ),
        exchanges=(Exchange(workers=2, seconds=(2e-3,)),),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("store")
    make_store(directory, experiment([4, 16, 64, 256]), two_regimes(lambda _: 0.1))
    return directory


def test_a_store_and_its_step_times(folder: Path) -> None:
    from headrace.store.experiments import load

    advice = advise(load(folder), made_throughput(), workers=[1, 2, 8])
    found = to_dict(advice.found)
    assert advice.source == "throughput.json"
    # 8 workers cannot share a batch of 4.
    assert len(advice.found.options) == 4 * 3 - 1
    for row in found["options"]:
        share = math.ceil(row["batch_size"] / row["workers"])
        exchange = 2e-3 * 2 * (row["workers"] - 1) / row["workers"]
        assert row["seconds_per_step"] == pytest.approx(1e-3 + 1e-5 * share + exchange, rel=1e-6)
        assert row["seconds"] == pytest.approx(row["steps"] * row["seconds_per_step"])
        assert row["device_seconds"] == pytest.approx(row["workers"] * row["seconds"])
        assert row["measured"] == (row["workers"] == 1)
        assert row["seconds_interval"][0] <= row["seconds"] <= row["seconds_interval"][1]
    # By S = 100 (1 + 64/B) and t = 1e-3 + 1e-5 B one worker takes the least time at 64 of those tested.
    assert found["cheapest"]["batch_size"] == 64
    assert found["cheapest"]["workers"] == 1
    assert "Step times marked as extrapolated" in advice.paragraph
    json.dumps(advice.to_dict(), allow_nan=False)


def test_without_a_measurement_the_trials_carry_the_step_times(folder: Path) -> None:
    from headrace.store.experiments import load

    advice = advise(load(folder), None)
    assert advice.source == "trial records"
    assert {o.workers for o in advice.found.options} == {1}
    assert "several at once and with their evaluations" in advice.paragraph
    assert "With one worker time and cost are the same." in advice.paragraph
    several = advise(load(folder), None, workers=[1, 2])
    assert "taken as free" in several.paragraph
    with pytest.raises(InputError, match="must be at least 1; got 0"):
        advise(load(folder), None, workers=[0])


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, made_throughput())
    assert read(folder) == made_throughput()
    assert execute(["recommend", str(folder), "--workers", "1", "--workers", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["recommendation"]) == {"level", "fastest", "cheapest", "knee", "frontier", "options"}
    assert found["step_time_source"] == "throughput.json"
    assert execute(["recommend", str(folder)]) == 0
    assert "knee" in capsys.readouterr().out
    (folder / "throughput.json").write_text("{}")
    with pytest.raises(DamagedError, match="run headrace throughput again"):
        read(folder)
    assert execute(["recommend", str(folder)]) == 2


def test_step_times_that_say_nothing_of_the_run_are_refused(folder: Path) -> None:
    from headrace.store.experiments import load

    stored, times = load(folder), made_throughput()
    with pytest.raises(InputError, match="is of another workload than digits-mlp; got 'mnist-fc'"):
        advise(stored, times.model_copy(update={"workload": "mnist-fc"}))
    with pytest.raises(InputError, match="another workload"):
        advise(stored, times.model_copy(update={"settings": {"hidden": [3]}}))
    other = tuple(timing.model_copy(update={"optimizer": "adamw"}) for timing in times.timings)
    with pytest.raises(InputError, match="no step time of one worker was measured with sgd"):
        advise(stored, times.model_copy(update={"timings": other}))


def test_one_batch_size_does_not_tell_the_step_of_another(folder: Path) -> None:
    from headrace.store.experiments import load

    times = made_throughput()
    one = times.model_copy(update={"timings": times.timings[1:2], "exchanges": ()})
    advice = advise(load(folder), one, workers=[1, 2, 64])
    assert [(o.batch_size, o.workers) for o in advice.found.options] == [(16, 1)]
    assert "no other option was measured" in advice.paragraph
    assert "Left out: 2 and 64 workers, whose steps were not timed" in advice.paragraph
    assert "does not show what a step of another takes" in throughput_summary(one)["words"][0]
    with pytest.raises(InputError, match=r"Run: headrace throughput .* --workers 1 --workers 2"):
        advise(load(folder), one, workers=[2])


def test_what_two_batch_sizes_say_is_exact_for_one_worker_only() -> None:
    two = made_throughput()
    two = two.model_copy(update={"timings": two.timings[:2]})
    assert "meets what was measured exactly" in throughput_summary(two)["words"][0]
    # Steps of two workers that no model of theirs meets: then it is off, however few sizes there are.
    shared = [
        timing.model_copy(
            update={"workers": 2, "seconds_per_step": (factor * timing.seconds_per_step[0],) * 7}
        )
        for timing, factor in zip(two.timings, (2.0, 9.0), strict=True)
    ]
    off = two.model_copy(update={"timings": (*two.timings, *shared)})
    assert "is off by at most" in throughput_summary(off)["words"][0]


def test_an_error_that_is_none_is_not_taken_for_one(folder: Path) -> None:
    from headrace.store.experiments import load

    times, words = made_throughput(), "Two batch sizes are met exactly"
    two = times.model_copy(update={"timings": times.timings[:2]})
    assert words in advise(load(folder), two, workers=[1, 2]).paragraph
    assert words not in advise(load(folder), times, workers=[1, 2]).paragraph


def test_forward_passes_beyond_training_are_priced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three passes for each example trained on: 1 + 2/3 times as long; the trials' own seconds hold them."""
    from headrace.store.experiments import load

    plain = advise(load(folder), made_throughput()), advise(load(folder), None)
    monkeypatch.setattr(Study, "passes", property(lambda _: 3.0))
    priced = advise(load(folder), made_throughput()), advise(load(folder), None)
    for before, after, more in zip(plain, priced, (5 / 3, 1.0), strict=True):
        for one, other in zip(before.found.options, after.found.options, strict=True):
            assert other.seconds_per_step == pytest.approx(more * one.seconds_per_step)
            np.testing.assert_allclose(other.time_draws, more * one.time_draws)


def test_the_commands_refuse_what_would_mislead(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = experiment([4]).model_dump()
    other["workload"]["name"] = "digits-logistic"
    file = tmp_path / "other.toml"
    file.write_text(Experiment.from_dict(other).to_toml(), encoding="utf-8")
    assert execute(["throughput", str(file), "--out", str(folder)]) == 2
    assert "the folder of a run on another workload; got 'digits-mlp'" in capsys.readouterr().err
    for options in (["--points", "1"], ["--examples", "2"]):
        assert execute(["noise", str(folder), *options]) == 2
        assert f"{options[0]}: must be at least" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    for command in ("throughput", "noise"):
        assert execute([command, str(file)]) == 2
        assert "Start it without torchrun" in capsys.readouterr().err


def test_numbers_of_workers_that_cannot_be_are_named(folder: Path) -> None:
    from headrace.store.experiments import load

    advice = advise(load(folder), made_throughput(), workers=[1, 1000])
    assert "Left out: 1000 workers, more than a batch has examples" in advice.paragraph


def test_durations() -> None:
    assert [duration(s) for s in (0.05, 1.5, 90, 150, 9000)] == ["50 ms", "1.5 s", "90 s", "2.5 min", "2.5 h"]


def test_the_time_promised_is_that_of_a_fresh_run_at_named_hyperparameters(folder: Path) -> None:
    from headrace.store.experiments import load

    advice = advise(load(folder), made_throughput(), workers=[1])
    for option in advice.found.options:
        assert option.basis == "surface"
        rate = option.hyperparameters["learning_rate"]
        assert option.hyperparameters.keys() == {"learning_rate"}
        assert rate == pytest.approx(0.1, rel=0.6)
        # No scatter: what a fresh run takes is the law, and not the luckiest of the rates tried.
        truth = 100 * (1 + 64 / option.batch_size) * (1 + 0.1 * math.log(rate / 0.1) ** 2)
        assert option.steps == pytest.approx(truth, rel=0.06)
        assert option.fewest is not None
        assert option.fewest >= 0.99 * 100 * (1 + 64 / option.batch_size)
    best = advice.found.picks["fastest"].option.hyperparameters["learning_rate"]
    assert f"at learning rate {best:.3g} is expected to reach the goal in" in advice.paragraph
    assert "the mean over seeds of a fresh run" in advice.paragraph
    found = advice.to_dict()
    assert found["format"] == 2
    assert {"basis", "fewest_steps", "hyperparameters"} < found["recommendation"]["fastest"].keys()


def test_without_a_surface_the_luckiest_run_is_called_that(tmp_path: Path) -> None:
    from headrace.store.experiments import load

    make_store(tmp_path, experiment([4, 64], trials=6), two_regimes(lambda _: 0.1))
    advice = advise(load(tmp_path), made_throughput(), workers=[1])
    for option in advice.found.options:
        assert option.basis == "search"
        assert option.steps == option.fewest
    assert "those of the luckiest run of each search" in advice.paragraph
    assert "is expected" not in advice.paragraph


def test_options_of_one_recommendation_have_one_basis(tmp_path: Path) -> None:
    """Else an optimizer would win by having been searched too thinly for an honest promise."""
    from headrace.analysis.run_lengths import run_lengths
    from headrace.analysis.studies import read_studies
    from headrace.analysis.tuned import surfaces_of

    asked = experiment([4, 16, 64], optimizer=["sgd", "momentum"])
    studies = read_studies(make_store(tmp_path, asked, two_regimes(lambda _: 0.1)))
    surfaces = surfaces_of(studies)
    both = run_lengths(studies, surfaces, count=50, seed=0)
    assert {length.basis for length in both.values()} == {"surface"}
    one = run_lengths(studies, {**surfaces, studies[0].curve: None}, count=50, seed=0)
    assert {length.basis for length in one.values()} == {"search"}
