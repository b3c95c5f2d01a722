"""Headrace decides what a training run is fed, and measures whether that paid off.

Names are imported on first use, so that `import headrace` costs nothing.
"""

from __future__ import annotations

from headrace.lazy import names_of

__version__ = "0.1.0"

_HOMES: dict[str, str] = {
    "ExampleSampler": "headrace.sampling",
    "FeedLog": "headrace.feeds",
    "History": "headrace.histories",
    "LabelWindow": "headrace.histories",
    "LossHistory": "headrace.histories",
    "SharedHistory": "headrace.histories",
    "NoiseScale": "headrace.training.noise_scale",
    "acquisition": "headrace.ensembles.acquisition",
    "EnsembleStatistics": "headrace.ensembles",
    "policies": "headrace.policies",
    "sampling": "headrace.sampling",
    "scores": "headrace.histories.scores",
    "selection": "headrace.selection",
    "Subset": "headrace.subsets.file",
    "SubsetSearch": "headrace.specs.search",
    "scaling": "headrace.analysis.scaling",
    "Workload": "headrace.workloads",
    "Experiment": "headrace.specs.experiment",
}
"""Public name -> the module where it lives, or that it is."""

__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
