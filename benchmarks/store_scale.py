"""The analysis at the size of the published batch-science archive, against one CSV file after another."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from headrace import random
from headrace.analysis.steps_to_result import published_results
from headrace.specs.experiment import Experiment
from headrace.specs.studies import StudyKey
from headrace.store import experiments as store
from headrace.store.facts import WorkloadFacts
from headrace.store.records import TrialRecord

DESCRIPTION = (
    "S(B) of 454 studies, 168,160 trials, 71.6 million measurements, against reading trial after trial"
)

STUDIES, TRIALS, MEASUREMENTS = 454, 168_160, 71_638_836
WORKLOADS = 35
ASKED = 100
GOAL = 0.25
EVALUATE_EVERY = 100


def split(total: int, parts: int) -> list[int]:
    """`total` as `parts` whole numbers that differ by one at most."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def experiment(batch_sizes: list[int], trials: int, budget: int) -> Experiment:
    """One workload's studies."""
    return Experiment.from_dict(
        {
            "workload": {"name": "mnist-fc"},
            "grid": {"batch_size": batch_sizes},
            "search": {
                "trials": ASKED,
                "max_trials": max(trials, ASKED),
                "space": {"learning_rate": {"low": 1e-4, "high": 1.0, "scale": "log"}},
            },
            "training": {
                "budget": {"steps": budget},
                "evaluation": {"every": EVALUATE_EVERY},
                "stop": "budget",
            },
        }
    )


def study_rows(rng: np.random.Generator, lengths: list[int], batch_size: int) -> pl.DataFrame:
    """The measurements of one study: noisy learning curves, errors in whole ten-thousandths."""
    trial = np.repeat(np.arange(len(lengths)), lengths)
    step = (np.arange(len(trial)) - np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)) * EVALUATE_EVERY
    speed = np.exp(rng.normal(-8.5, 1.5, len(lengths)))[trial] * batch_size / (1 + batch_size / 128)
    fall = np.exp(-np.minimum(speed * step / 10, 3))
    columns: dict[str, np.ndarray] = {"trial": trial, "step": step}
    for name in ("train", "validation", "test"):
        noise = rng.standard_normal(len(trial), dtype=np.float32)
        columns[f"{name}/loss"] = (2.3 * fall * (1 + 0.02 * noise)).astype(np.float32).astype(np.float64)
        if name != "train":
            columns[f"{name}/error"] = np.round(0.9 * fall * (1 + 0.02 * noise), 4)
    return pl.DataFrame(columns)


def study_records(rng: np.random.Generator, study: StudyKey, lengths: list[int]) -> list[TrialRecord]:
    """Its trials, of which about a half have diverged."""
    diverged = rng.random(len(lengths)) < 0.5
    return [
        TrialRecord(
            trial=i,
            trained=(length - 1) * EVALUATE_EVERY,
            diverged=(length - 1) * EVALUATE_EVERY if bad else None,
            study=study.name,
            hyperparameters={"learning_rate": 0.01},
            examples_forwarded=0,
            examples_backpropagated=0,
            seconds=1.0,
        )
        for i, (length, bad) in enumerate(zip(lengths, diverged.tolist(), strict=True))
    ]


def make(root: Path, share: float) -> dict[str, int]:
    """Write the archive in the store's form, a folder a workload; `share` of its studies."""
    studies = max(round(STUDIES * share), 2)
    per_study = split(round(TRIALS * studies / STUDIES), studies)
    per_trial = split(round(MEASUREMENTS * studies / STUDIES), sum(per_study))
    written = 0
    for w, members in enumerate(split(studies, min(WORKLOADS, studies))):
        asked = experiment([2**k for k in range(members)], max(per_study), max(per_trial) * EVALUATE_EVERY)
        folder = root / f"workload-{w:02d}"
        store.create(folder, asked)
        store.write_facts(
            folder, WorkloadFacts(name="made", goal=GOAL, train_examples=55_000, validation_examples=5000)
        )
        for study in asked.studies():
            trials = per_study.pop()
            lengths = [per_trial.pop() for _ in range(trials)]
            rng = random.generator(0, "archive", w, study.name)
            rows = study_rows(rng, lengths, study.configuration.batch_size)
            store.write_trials(folder, study_records(rng, study, lengths), rows, part=0)
            written += len(rows)
    return {"studies": studies, "measurements": written}


def analyse(root: Path) -> dict[str, Any]:
    """S(B) of every study, checksums and all, with the seconds and the peak memory of this process."""
    started = time.perf_counter()
    steps: list[int | None] = []
    for folder in sorted(root.iterdir()):
        steps += [found.steps for found in published_results(store.load(folder)).values()]
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time(),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "studies": len(steps),
        "reached": sum(step is not None for step in steps),
    }


def in_child(function: str, root: Path, *arguments: float) -> dict[str, Any]:
    """Call one of this module's functions in a fresh process, whose memory is then its own."""
    call = ", ".join([f"Path({str(root)!r})", *map(repr, arguments)])
    program = (
        "import json; from pathlib import Path; from benchmarks import store_scale; "
        f"print(json.dumps(store_scale.{function}({call})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_csv(root: Path, source: Path, trials: int) -> int:
    """Some trials in the published layout, a CSV file each; returns their measurements."""
    stored = store.load(source)
    study = stored.experiment.studies()[0]
    rows = stored.study_measurements(study.name).filter(pl.col("trial") < trials)
    for (trial,), frame in rows.group_by("trial"):
        folder = root / str(trial)
        folder.mkdir(parents=True)
        frame.drop("trial").write_csv(folder / "measurements.csv")
        (folder / "metadata.json").write_text('{"status": "COMPLETE"}')
    return len(rows)


def one_by_one(root: Path) -> int | None:
    """The peer: a plain loop over the trials' folders, a small table at a time."""
    best = None
    for folder in sorted(root.iterdir(), key=lambda path: int(path.name)):
        if json.loads((folder / "metadata.json").read_text())["status"] != "COMPLETE":
            continue
        frame = pl.read_csv(folder / "measurements.csv")
        reached = frame.filter(pl.col("validation/error") < GOAL)["step"].min()
        if reached is not None and (best is None or reached < best):
            best = reached
    return best


def run(share: float = 1.0, peer_trials: int = 300) -> dict[str, Any]:
    """Seconds for S(B) of all studies; the peer's are of `peer_trials` trials, scaled by their rows."""
    with tempfile.TemporaryDirectory() as temporary:
        root, layout = Path(temporary) / "archive", Path(temporary) / "csv"
        started = time.perf_counter()
        made = in_child("make", root, share)
        making = time.perf_counter() - started
        found = in_child("analyse", root)
        rows = write_csv(layout, root / "workload-00", peer_trials)
        started = time.perf_counter()
        one_by_one(layout)
        peer = (time.perf_counter() - started) * made["measurements"] / rows
        bytes_stored = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return {
        "ours": found["seconds"],
        "peer": peer,
        "ratio": peer / found["seconds"],
        "unit": "s",
        "measured": f"{made['studies']} studies, {made['measurements']:,} measurements, checksums verified; "
        f"the peer on {rows:,} measurements in {peer_trials} CSV files, scaled",
        "peer_name": "a loop over the published layout that reads a trial's CSV file at a time with Polars",
        "peak_gib": found["peak_gib"],
        "cpu_seconds": found["cpu_seconds"],
        "measurements_per_second": made["measurements"] / found["seconds"],
        "studies_that_reached_the_goal": found["reached"],
        "stored_gib": bytes_stored / 2**30,
        "making_seconds": making,
    }
