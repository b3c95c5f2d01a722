"""Entropy, mutual information and variation ratio of an ensemble, from its members' probabilities."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks._peers import peer
from benchmarks._timing import Timing, interleaved
from headrace.ensembles import EnsembleStatistics, acquisition
from headrace.random import generator

DESCRIPTION = "acquisition functions from members' probabilities against baal and scikit-activeml"


def ours(members: list[np.ndarray], *, votes: bool) -> list[np.ndarray]:
    statistics = EnsembleStatistics(*members[0].shape, votes=votes)
    for probabilities in members:
        statistics.add_member(0, probabilities)
    scores = [acquisition.entropy(statistics), acquisition.mutual_information(statistics)]
    return [*scores, acquisition.variation_ratio(statistics)] if votes else scores


def of_baal(stacked: np.ndarray) -> list[np.ndarray]:
    """Entropy and mutual information; baal has no variation ratio by votes."""
    heuristics = peer("baal.active.heuristics")
    return [heuristics.Entropy().compute_score(stacked), heuristics.BALD().compute_score(stacked)]


def of_skactiveml(members: np.ndarray) -> list[np.ndarray]:
    """All three; its divergence overwrites what it is given, so it gets a copy."""
    pool = peer("skactiveml.pool")
    entropy = pool.uncertainty_scores(members.mean(axis=0), method="entropy")
    ratios = pool.variation_ratios(members.argmax(axis=2).T)
    return [entropy, pool.average_kl_divergence(members), ratios]


def agreement(mine: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(mine, theirs, strict=True))


def summary(timing: Timing, difference: float) -> dict[str, float]:
    return {"ours": timing.ours, "peer": timing.peer, "ratio": timing.ratio, "largest_difference": difference}


def run(
    examples: int = 20_000, members: int = 50, classes: int = 10, rounds: int = 7, streaming: bool = True
) -> dict[str, Any]:
    """Seconds; `ratio` is the lower of the two peers'."""
    torch.set_num_threads(1)
    p = generator(0, "benchmark").dirichlet(np.ones(classes), size=(members, examples))
    each = [p[e] for e in range(members)]
    stacked = np.ascontiguousarray(p.transpose(1, 2, 0))
    spoiled = p.copy()

    def time_against(votes: bool, call: Callable[[], object]) -> Timing:
        return interleaved(lambda: ours(each, votes=votes), call, rounds=rounds, warmup=1)

    baal = time_against(False, lambda: of_baal(stacked))
    with_stacking = time_against(False, lambda: of_baal(np.stack(each, axis=-1)))
    skactiveml = time_against(True, lambda: of_skactiveml(spoiled))
    results = {
        "baal": summary(baal, agreement(ours(each, votes=False), of_baal(stacked))),
        "baal_with_its_stacking": summary(with_stacking, 0.0),
        "skactiveml": summary(skactiveml, agreement(ours(each, votes=True), of_skactiveml(p.copy()))),
    }
    worst = min(results["baal"], results["skactiveml"], key=lambda result: result["ratio"])
    return {
        **{name: worst[name] for name in ("ours", "peer", "ratio")},
        "unit": "s",
        "measured": f"N={examples}, E={members}, C={classes}, float64, 1 thread, CPU seconds; "
        "baal: entropy and mutual information, arrays in its layout; scikit-activeml: and variation ratio",
        "peers": results,
        **({"streaming": stream_apart()} if streaming else {}),
    }


def stream_apart() -> dict[str, float]:
    """`stream` in a process of its own, so that its peak memory is its own."""
    code = "import json, benchmarks.ensemble_scoring as b; print(json.dumps(b.stream()))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return json.loads(output)


def stream(
    examples: int = 1_280_000, classes: int = 1000, members: int = 10, batch: int = 4000
) -> dict[str, float]:
    """ImageNet's size through one `EnsembleStatistics`; the batches are one batch, rolled."""
    torch.set_num_threads(1)
    rng = generator(0, "stream")
    pool = torch.from_numpy(rng.normal(size=(batch, classes)).astype(np.float32) * 3).softmax(1)
    statistics = EnsembleStatistics(examples, classes)
    started = time.process_time()
    for member in range(members):
        probabilities = pool.roll(member, 0)
        for start in range(0, examples, batch):
            statistics.add_member(start, probabilities[: min(batch, examples - start)], member=str(member))
    scores = [f(statistics) for f in (acquisition.entropy, acquisition.mutual_information)]
    scores.append(acquisition.variation_ratio(statistics))
    return {
        "cpu_seconds": time.process_time() - started,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "entropy_mean": float(scores[0].mean()),
    }
