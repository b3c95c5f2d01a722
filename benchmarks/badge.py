"""BADGE without the gradient matrix against scikit-activeml's, which makes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._peers import peer
from benchmarks._timing import interleaved
from headrace.random import generator
from headrace.selection import badge
from headrace.selection.gradients import GradientEmbedding

DESCRIPTION = "BADGE against scikit-activeml's Badge, which holds the gradient of every example"


def fixed_classifier(probabilities: np.ndarray) -> Any:
    """A classifier of scikit-activeml's kind that gives these probabilities."""
    base = peer("skactiveml.base").SkactivemlClassifier

    class Fixed(base):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            return self

        def predict_proba(self, X: Any) -> np.ndarray:
            return probabilities

    return Fixed(classes=list(range(probabilities.shape[1])))


def largest_difference(probabilities: np.ndarray, features: np.ndarray, rows: int = 500) -> float:
    """Of squared distances from those of explicit gradients, relative to the largest."""
    p, x = probabilities[:rows], features[:rows]
    embedding = GradientEmbedding(p, x)
    explicit = (embedding.errors[:, :, None] * x[:, None, :]).reshape(rows, -1)
    worst = 0.0
    for row in range(0, rows, 50):
        expected = ((explicit - explicit[row]) ** 2).sum(1)
        worst = max(worst, float(np.abs(embedding.squared_distances(row) - expected).max() / expected.max()))
    return worst


def run(
    examples: int = 20_000, classes: int = 10, features: int = 128, count: int = 100, rounds: int = 1
) -> dict[str, Any]:
    """CPU seconds of both."""
    strategy = peer("skactiveml.pool").Badge
    rng = generator(0, "benchmark")
    p = rng.dirichlet(np.ones(classes), size=examples)
    rows = rng.normal(size=(examples, features))
    classifier, labels = fixed_classifier(p), np.full(examples, np.nan)
    chosen: dict[str, Any] = {}

    def mine() -> None:
        chosen["ours"] = badge(p, rows, count, generator(0, "draws"))

    def theirs() -> None:
        query = strategy(random_state=0).query
        chosen["peer"] = query(rows, labels, classifier, fit_clf=False, batch_size=count)

    timing = interleaved(mine, theirs, rounds=rounds, warmup=0)
    return {
        "ours": timing.ours,
        "peer": timing.peer,
        "ratio": timing.ratio,
        "unit": "s",
        "measured": f"N={examples}, C={classes}, d={features}, k={count}, float64, 1 thread, CPU seconds",
        "same_first_choice": bool(chosen["ours"][0] == chosen["peer"][0]),
        "largest_relative_difference_of_distances": largest_difference(p, rows),
    }
