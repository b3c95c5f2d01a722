"""Headrace decides what a training run is fed, and measures whether that paid off.

Names are imported on first use, so that `import headrace` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES: dict[str, str] = {
    "ExampleSampler": "headrace.sampling:ExampleSampler",
    "History": "headrace.histories:History",
    "LabelWindow": "headrace.histories:LabelWindow",
    "LossHistory": "headrace.histories:LossHistory",
    "SharedHistory": "headrace.histories:SharedHistory",
    "NoiseScale": "headrace.training.noise_scale:NoiseScale",
    "acquisition": "headrace.ensembles.acquisition",
    "EnsembleStatistics": "headrace.ensembles:EnsembleStatistics",
    "policies": "headrace.policies",
    "sampling": "headrace.sampling",
    "scores": "headrace.histories.scores",
    "selection": "headrace.selection",
    "Subset": "headrace.subsets.file:Subset",
    "SubsetSearch": "headrace.specs.search:SubsetSearch",
    "scaling": "headrace.analysis.scaling",
    "Workload": "headrace.workloads:Workload",
    "Experiment": "headrace.specs.experiment:Experiment",
}
"""Public name -> the module it is, or the `module:name` where it lives."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = import_module(module)
    return getattr(value, attribute) if attribute else value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
