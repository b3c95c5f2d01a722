"""Plays of Shakespeare by their characters: the text on which small language models are usually shown.

1,115,394 characters, 65 different: 90% for training, and the last two twentieths for validation and test.
"""

from __future__ import annotations

from headrace.workloads import _settings
from headrace.workloads._base import Workload
from headrace.workloads.language.build import Model, language_model
from headrace.workloads.language.gpt import GPT
from headrace.workloads.language.lstm import LSTM
from headrace.workloads.language.metrics import Metric
from headrace.workloads.language.splits import split_corpus
from headrace.workloads.language.text import read_text
from headrace.workloads.locations import SHAKESPEARE_FILE, file_in, require

GOALS: dict[Metric, float] = {"nats": 1.8, "perplexity": 6.05, "bits_per_byte": 2.6}
"""By the metric; about the same model for each."""


def shakespeare_gpt(
    *,
    width: int = 64,
    layers: int = 4,
    heads: int = 4,
    window: int = 64,
    dropout: float = 0.0,
    metric: Metric = "nats",
    validation: float = 0.05,
) -> Workload:
    """A transformer on the characters of Shakespeare's plays; 205,056 parameters.

    Args:
        width: Of the residual stream; the heads divide it.
        layers: Blocks.
        heads: Of the attention.
        window: Characters that it sees.
        dropout: Share that is dropped in training.
        metric: Of the goal: "nats" per character, "perplexity" or "bits_per_byte".
        validation: Share of the text for validation: a smaller one makes evaluations cheaper.
    """
    sizes = {"width": width, "layers": layers, "heads": heads}
    sizes = {name: _settings.integer(name, value) for name, value in sizes.items()}
    _settings.divides("heads", heads, "width", width)
    share = _settings.share("dropout", dropout)

    def model(vocabulary: int, window: int) -> GPT:
        return GPT(vocabulary, window, **sizes, dropout=share)

    return _shakespeare(
        "shakespeare-gpt", model, window, metric, "A small transformer", validation=validation
    )


def shakespeare_lstm(
    *, width: int = 128, layers: int = 2, window: int = 64, dropout: float = 0.0, metric: Metric = "nats"
) -> Workload:
    """A recurrent network on the characters of Shakespeare's plays.

    Args:
        width: Of the embedding and of each layer.
        layers: Of LSTM.
        window: Characters that it sees.
        dropout: Share that is dropped in training.
        metric: As in `shakespeare_gpt`.
    """
    width, layers = _settings.integer("width", width), _settings.integer("layers", layers)
    share = _settings.share("dropout", dropout)

    def model(vocabulary: int, _window: int) -> LSTM:
        return LSTM(vocabulary, width=width, layers=layers, dropout=share)

    return _shakespeare("shakespeare-lstm", model, window, metric, f"An LSTM of {layers} layers")


def _shakespeare(
    name: str, model: Model, window: int, metric: Metric, what: str, *, validation: float = 0.05
) -> Workload:
    folder = require("shakespeare")
    text = read_text(file_in(folder, SHAKESPEARE_FILE) or folder / SHAKESPEARE_FILE)
    parts = split_corpus(text, validation=validation)
    return language_model(
        parts.train,
        validation=parts.validation,
        test=parts.test,
        model=model,
        window=_settings.integer("window", window),
        goal=GOALS.get(metric, GOALS["nats"]),
        metric=metric,
        name=name,
        description=f"{what} that predicts the characters of plays of Shakespeare.",
    )
