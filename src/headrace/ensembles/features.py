"""Features of examples: the input of a model's last linear layer, for any kind of model."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor, nn

from headrace.arrays import widest
from headrace.ensembles.inference import Examples
from headrace.errors import InputError
from headrace.nested import moved

_FIX = (
    "End the model with nn.Linear(features, classes) on one row per example, or use a strategy that needs no "
    "features, such as top_k."
)


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """What strategies of diversity look at.

    Attributes:
        features: The input of the last linear layer [examples, features].
        probabilities: The model's [examples, classes].
    """

    features: Float32[np.ndarray, "examples features"]
    probabilities: Float64[np.ndarray, "examples classes"]


def last_layer(model: nn.Module, inputs: Any) -> nn.Linear:
    """The linear layer that gives the classes: the last one called whose width is that of the output.

    Args:
        model: In evaluation mode; forwards `inputs` once.
        inputs: A batch.

    Raises:
        InputError: There is none, or its input is not one row per example.
    """
    calls: list[tuple[nn.Linear, tuple[int, ...]]] = []

    def note(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(layer, nn.Linear)
        calls.append((layer, tuple(arguments[0].shape)))

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with torch.inference_mode():
            outputs = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    name = type(model).__name__
    for layer, shape in reversed(calls):
        if layer.out_features == outputs.shape[-1]:
            if shape != (len(outputs), layer.in_features):
                what = "the input of the model's last linear layer is not one row per example"
                raise InputError(what, where=name, got=shape, fix=_FIX)
            return layer
    raise InputError("no linear layer of the model gives the classes", where=name, fix=_FIX)


def embed(
    model: nn.Module, data: Examples, *, batch_size: int = 256, device: torch.device | str = "cpu"
) -> Embedding:
    """The features and probabilities of all examples under one model, in one pass.

    Args:
        model: On `device`; needs not know of it. Its mode is put back.
        data: The examples.
        batch_size: Examples at a time; speed and memory only.
        device: Where the model is.

    Raises:
        InputError: As in `last_layer`.
    """
    count = len(data)
    training = model.training
    model.eval()
    try:
        inputs, _ = data.fetch(torch.arange(min(2, count)))
        layer = last_layer(model, moved(inputs, device))
        features = np.empty((count, layer.in_features), dtype=np.float32)
        probabilities = np.empty((count, layer.out_features))
        with _watching(layer) as seen, torch.inference_mode():
            for rows in torch.arange(count).split(batch_size):
                outputs = model(moved(data.fetch(rows)[0], device))
                part = slice(int(rows[0]), int(rows[-1]) + 1)
                features[part] = seen.pop().float().cpu().numpy()
                seen.clear()
                probabilities[part] = outputs.to(widest(outputs.device)).softmax(-1).cpu().numpy()
    finally:
        model.train(training)
    return Embedding(features=features, probabilities=probabilities)


@contextmanager
def _watching(layer: nn.Linear) -> Generator[list[Float[Tensor, "batch features"]]]:
    """A list to which each call of the layer adds its input."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
    try:
        yield seen
    finally:
        handle.remove()
