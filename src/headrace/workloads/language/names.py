"""Made names by their letters: language models that train in seconds."""

from __future__ import annotations

from headrace.workloads import _settings
from headrace.workloads._base import Workload
from headrace.workloads.language.build import language_model
from headrace.workloads.language.gpt import GPT
from headrace.workloads.language.made_names import made_names
from headrace.workloads.language.metrics import Metric
from headrace.workloads.language.text import documents

WINDOW = 16
_NAMES = 4000


def names_gpt(*, width: int = 32, layers: int = 2, metric: Metric = "nats", dropout: float = 0.0) -> Workload:
    """A transformer on the letters of 4,000 made names, each a document of its own.

    Args:
        width: Of the residual stream, a multiple of 4.
        layers: Blocks.
        metric: Of the goal: "nats" per letter, "perplexity" or "bits_per_byte".
        dropout: Share that is dropped in training.
    """
    width, layers = 4 * _settings.integer("width", max(1, width // 4)), _settings.integer("layers", layers)
    share = _settings.share("dropout", dropout)
    names = documents([name.encode() for name in made_names(_NAMES)], "characters", where="made names")
    return language_model(
        names,
        model=lambda vocabulary, window: GPT(
            vocabulary, window, width=width, layers=layers, heads=4, dropout=share
        ),
        window=WINDOW,
        goal={"nats": 2.0, "perplexity": 7.389, "bits_per_byte": 3.35}.get(metric, 2.0),
        metric=metric,
        packing="within",
        name="names-gpt",
        description="A small transformer that predicts the letters of names made by a grammar.",
    )
