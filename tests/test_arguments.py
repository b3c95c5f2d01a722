"""Every argument of what users call in their own loops is checked where it is given, by name."""

from __future__ import annotations

import copy
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import headrace
from headrace import EnsembleStatistics, policies, scaling, selection
from headrace.analysis.comparison import compare
from headrace.errors import InputError
from headrace.histories import History, LabelWindow, LossHistory
from headrace.random import generator
from headrace.sampling import (
    ExampleSampler,
    Indexed,
    draw_with_replacement,
    draw_without_replacement,
    partition,
    permutation,
    shuffled_batches,
)
from headrace.training.noise_scale import NoiseScale
from headrace.workloads import from_tensors

N, C = 12, 3
PLAIN = [None, True, "3", math.nan, math.inf, 1 + 2j, object(), [1], {}, np.array([1, 2])]
HOSTILE: dict[str, list[Any]] = {
    "count": [*PLAIN, -1, 1.5, 2.0, np.float64(2), 10**30, np.bool_(True), Fraction(3)],
    "seed": [*PLAIN, -1, 1.5, 2.0, np.float64(2), np.bool_(True)],
    "share": [*PLAIN, -1.0, 10**400, np.float32("nan"), np.bool_(True)],
    "flag": [None, 0, 1, "yes", 0.0, [True]],
    "word": [None, 3, "nonsense", True, ["stripes"]],
    "rng": [None, 0, "0", np.random.RandomState(0), np.random],
    "array": [
        None, True, 3, "abc", math.nan, ["a"] * N, [None] * N, np.ones(N) * 1j, np.ones((N, 2, 2)),
        np.r_[np.ones(N - 1), np.nan], np.r_[np.ones(N - 1), np.inf], torch.full((N,), math.nan), {},
        object(), [[1], [1, 2]], np.array(["2020-01-01"] * N, "datetime64[D]"),
    ],
    "indices": [
        3, True, "abc", [0.5], [-1], [N], [1, 1], [[0]], [True, False], [None], {}, torch.tensor([0.0]),
        np.array([2**63], np.uint64),
    ],
    "series": [
        None, True, 3, "abc", math.nan, ["a"] * 8, [None] * 8, {}, object(), [[1], [1, 2]], [1j] * 8,
        np.ones((8, 2)), [math.nan] * 8, [],
    ],
    "name": [None, True, 3, math.nan, object(), ["a"], {}],
    "names": [True, 3, "abc", math.nan, object(), {}, (1, 2, 3), ("a", "b"), ("a", "a", "b"), (None,) * 3],
}  # fmt: skip
"""Kind of an argument -> what it is not."""

SCORES, CLASSES = np.linspace(0.1, 1.0, N), np.arange(N) % C
FEATURES = generator(0, "features").normal(size=(N, 2)).astype(np.float32)
ONE = np.full((N, C), 1 / C)
rng = lambda: generator(0, "arguments")  # noqa: E731

CALLS: dict[str, tuple[Any, dict[str, Any], dict[str, str]]] = {
    "ExampleSampler": (
        lambda **given: list(ExampleSampler(**given)),
        {"examples": N, "batch_size": 4, "seed": 0, "rank": 0, "world_size": 1, "workers": 1, "epochs": 3,
         "size": N, "last": "short", "policy": policies.Uniform(), "holdout_losses": SCORES,
         "labels": CLASSES},
        {"examples": "count", "seed": "seed", "last": "word", "labels": "array or none",
         "holdout_losses": "array or none",
         **dict.fromkeys(["batch_size", "rank", "world_size", "workers", "epochs", "size"], "count or none")},
    ),
    "weights": (
        lambda weights: list(ExampleSampler(weights)), {"weights": SCORES}, {"weights": "array without count"}
    ),
    "set_epoch": (lambda epoch: ExampleSampler(N).set_epoch(epoch), {"epoch": 1}, {"epoch": "count"}),
    "weights_for": (
        lambda index: ExampleSampler(N).weights_for(index),
        {"index": [0, 5]},
        {"index": "indices but repeated"},
    ),
    "draw_with_replacement": (
        draw_with_replacement,
        {"weights": SCORES, "size": 3, "rng": rng(), "systematic": True},
        {"weights": "array", "size": "count", "rng": "rng", "systematic": "flag"},
    ),
    "draw_without_replacement": (
        draw_without_replacement,
        {"weights": SCORES, "size": 3, "rng": rng(), "ordered": True},
        {"weights": "array", "size": "count", "rng": "rng", "ordered": "flag"},
    ),
    "permutation": (permutation, {"num_examples": N, "rng": rng()}, {"num_examples": "count", "rng": "rng"}),
    "shuffled_batches": (
        lambda **given: next(shuffled_batches(path=("a",), **given)),
        {"num_examples": N, "batch_size": 4, "seed": 1},
        {"num_examples": "count", "batch_size": "count", "seed": "seed"},
    ),
    "partition": (
        partition,
        {"scores": SCORES, "workers": 2, "heuristic": "stripes", "seed": 0, "interval": 0},
        {"scores": "array", "workers": "count", "heuristic": "word", "seed": "seed", "interval": "count"},
    ),
    "Indexed": (Indexed, {"dataset": [1, 2]}, {"dataset": "rng"}),
    "History": (
        lambda num_examples, window, decay, device: (
            History(num_examples, window=window, device=device), LossHistory(num_examples, decay=decay)
        ),
        {"num_examples": N, "window": 3, "decay": 0.5, "device": "cpu"},
        {"num_examples": "count", "window": "count or none", "decay": "share or none", "device": "word"},
    ),
    "LabelWindow": (
        LabelWindow,
        {"num_examples": N, "num_classes": C, "window": 3},
        dict.fromkeys(["num_examples", "num_classes", "window"], "count"),
    ),
    "top_k": (selection.top_k, {"scores": SCORES, "count": 3, "candidates": [0, 1, 2, 5]},
              {"scores": "array", "count": "count", "candidates": "indices"}),
    "power": (selection.power, {"scores": SCORES, "count": 3, "rng": rng(), "exponent": 1.0},
              {"scores": "array", "count": "count", "rng": "rng", "exponent": "share"}),
    "stratified": (
        selection.stratified,
        {"scores": SCORES, "count": 3, "rng": rng(), "drop_hardest": 0.2, "strata": 3},
        {"scores": "array", "count": "count", "rng": "rng", "drop_hardest": "share", "strata": "count"},
    ),
    "class_balanced": (selection.class_balanced, {"scores": SCORES, "classes": CLASSES, "count": 3},
                       {"scores": "array", "classes": "array", "count": "count"}),
    "k_center": (selection.k_center, {"features": FEATURES, "count": 3, "initial": [1]},
                 {"features": "array", "count": "count", "initial": "indices"}),
    "badge": (
        selection.badge,
        {"probabilities": ONE, "features": FEATURES, "count": 3, "rng": rng()},
        {"probabilities": "array", "features": "array", "count": "count", "rng": "rng"},
    ),
    "batch_bald": (
        selection.batch_bald,
        {"probabilities": np.stack([ONE, ONE]), "count": 3, "rng": rng(), "configurations": 8},
        {"probabilities": "array", "count": "count", "rng": "rng", "configurations": "count"},
    ),
    "Sample": (policies.Sample, {"score": "difficulty", "epsilon": 0.1, "systematic": False},
               {"score": "word", "epsilon": "share or none", "systematic": "flag"}),
    "Partition": (policies.Partition, {"heuristic": "stripes", "score": "mean-loss"},
                  {"heuristic": "word", "score": "word"}),
    "GradientNorm": (policies.GradientNorm, {"candidates": 3, "always": True},
                     {"candidates": "count", "always": "flag"}),
    "SelectiveBackprop": (policies.SelectiveBackprop, {"beta": 1.0, "window": 5, "candidates": 2},
                          {"beta": "share", "window": "count", "candidates": "count"}),
    "RhoLoss": (policies.RhoLoss, {"candidates": 3}, {"candidates": "count"}),
    "InfoBatch": (policies.InfoBatch, {"ratio": 0.5, "until": 0.5}, {"ratio": "share", "until": "share"}),
    "SelfPaced": (policies.SelfPaced, {"start": 0.5, "full_at": 0.5}, {"start": "share", "full_at": "share"}),
    "Focal": (policies.Focal, {"gamma": 1.0}, {"gamma": "share"}),
    "RandomSubsets": (policies.RandomSubsets, {"share": 0.5}, {"share": "share"}),
    "OnlineBatchSelection": (policies.OnlineBatchSelection, {"pressure": 2.0}, {"pressure": "share"}),
    "RecencyBias": (policies.RecencyBias, {"pressure": 2.0}, {"pressure": "share"}),
    "BurnIn": (policies.BurnIn, {"policy": policies.Shuffle(), "epochs": 1},
               {"policy": "rng", "epochs": "count"}),
    "Refreshed": (policies.Refreshed, {"policy": policies.Shuffle(), "epochs": 1},
                  {"policy": "rng", "epochs": "count"}),
    "Annealed": (policies.Annealed, {"policy": policies.Focal(), "epochs": 1},
                 {"policy": "rng", "epochs": "count"}),
    "PerClass": (policies.PerClass, {"policy": policies.Shuffle()}, {"policy": "rng"}),
    "make_policy": (policies.make_policy, {"name": "focal"}, {"name": "word"}),
    "NoiseScale": (
        lambda ranks: NoiseScale([torch.nn.Parameter(torch.ones(2))], ranks=ranks),
        {"ranks": 1},
        {"ranks": "count"},
    ),
    "EnsembleStatistics": (
        EnsembleStatistics,
        {"num_examples": N, "num_classes": C, "multilabel": False, "votes": True, "precision": "auto",
         "device": "cpu"},
        {"num_examples": "count", "num_classes": "count", "multilabel": "flag", "votes": "flag",
         "precision": "word", "device": "word"},
    ),
    "add_member": (
        lambda probabilities: EnsembleStatistics(N, C).add_member(0, probabilities),
        {"probabilities": ONE}, {"probabilities": "array"},
    ),
    "merge": (lambda other: EnsembleStatistics(N, C).merge(other), {"other": EnsembleStatistics(N, C)},
              {"other": "rng"}),
    "fit": (
        scaling.fit,
        {"batch_sizes": [8, 16, 32, 64], "steps": [800, 420, 230, 150], "overhead": 0.2, "tolerance": 0.2,
         "reference_batch": 8.0, "level": 0.9},
        {"batch_sizes": "series", "steps": "series", "overhead": "share", "tolerance": "share",
         "reference_batch": "share or none", "level": "share"},
    ),
    "compare": (
        lambda **given: compare(["a"] * 4 + ["b"] * 4, [*range(4)] * 2, **given),
        {"metric": [1.0, 1.1, 0.9, 1.2, 2.0, 2.2, 1.9, 2.1], "baseline": "a", "higher_is_better": False,
         "level": 0.9, "pairing": "auto", "granularity": 0.01, "margin": 0.1, "sequential": False},
        {"metric": "series with nan", "baseline": "word", "higher_is_better": "flag", "level": "share",
         "pairing": "word", "granularity": "share or none", "margin": "share or none", "sequential": "flag"},
    ),
    "from_tensors": (
        lambda **given: from_tensors(model=lambda classes: torch.nn.Linear(2, classes), **given),
        {"inputs": np.ones((200, 2), np.float32), "targets": np.arange(200) % C, "goal": 0.5,
         "name": "mine", "label_noise": 0.1, "classes": ("a", "b", "c"), "ids": None},
        {"targets": "array", "goal": "share above 0", "label_noise": "share", "name": "name",
         "classes": "names", "ids": "series or none", "inputs": "array"},
    ),
}  # fmt: skip
"""Name -> the call, good arguments, and the kind of those that are varied."""


def hostile(kind: str) -> list[Any]:
    values = HOSTILE[kind.split(maxsplit=1)[0]]
    if kind.endswith("or none"):
        values = [value for value in values if value is not None]
    if kind.endswith("with nan"):
        values = [value for value in values if not (isinstance(value, list) and value == [math.nan] * 8)]
    if kind.endswith("above 0"):
        values = [value for value in values if not (isinstance(value, float) and value < 0)]
    if kind.endswith("without count"):
        values = [value for value in values if type(value) is not int]
    if kind.endswith("but repeated"):
        values = [value for value in values if not (isinstance(value, list) and value == [1, 1])]
    return values


def call(name: str, arguments: dict[str, Any]) -> Any:
    function, _, kinds = CALLS[name]
    if name in ("permutation", "make_policy"):
        return function(*arguments.values())
    del kinds
    return function(**arguments)


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name in CALLS for argument in CALLS[name][2]]
)
def test_what_an_argument_is_not_is_refused_by_name(name, argument):
    _, good, kinds = CALLS[name]
    call(name, copy.deepcopy(good))
    for value in hostile(kinds[argument]):
        try:
            call(name, {**copy.deepcopy(good), argument: value})
        except InputError as error:
            assert argument in ("examples", "weights") or str(error), error
        except Exception as error:
            raise AssertionError(
                f"{name}({argument}={value!r}) raised {type(error).__name__}: {error}"
            ) from error
        else:
            raise AssertionError(f"{name}({argument}={value!r}) was taken")


@pytest.mark.parametrize("name", CALLS)
def test_exact_numbers_of_numpy_are_taken_and_arrays_are_not_changed(name):
    _, good, kinds = CALLS[name]
    exact = {key: np.int32(value) if type(value) is int else value for key, value in good.items()}
    exact = {key: np.float64(value) if type(value) is float else value for key, value in exact.items()}
    for key, value in exact.items():
        if isinstance(value, np.ndarray) and key in kinds:
            exact[key] = value.copy()
            exact[key].flags.writeable = False
    call(name, exact)


def test_all_that_is_public_is_here_or_checked_elsewhere():
    """A new function is not forgotten."""
    listed = {*CALLS, "ImportanceSample", "Weight", "Shuffle", "Uniform", "RandomPartition", "score_distance"}
    for module in (policies, selection, headrace.sampling):
        functions = {n for n in module.__all__ if callable(getattr(module, n)) and not n.isupper()}
        elsewhere = {"BatchPolicy", "Chosen", "Epoch", "Known", "Plan", "Policy", "kinds_of", "settings_of"}
        assert functions - elsewhere - listed - {"smoothed", "Batch"} == set()
