"""The last linear layer is found in any model, and its input is what it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from headrace.ensembles.features import embed, last_layer
from headrace.errors import InputError
from headrace.random import torch_generator
from headrace.training.data import TensorData

INPUTS = torch.randn(37, 6, generator=torch_generator(0, "features"))
DATA = TensorData(INPUTS, torch.zeros(37, dtype=torch.int64))


class Tangled(nn.Module):
    """The head is made first, called before a gate of the same kind, and followed by more."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 3)
        self.body = nn.Linear(6, 5)
        self.gate = nn.Linear(3, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.dropout(self.body(inputs).relu()))
        return (logits * self.gate(logits).sigmoid()).log_softmax(-1)


def test_the_input_of_the_head_and_the_probabilities() -> None:
    model = Tangled().train()
    found = embed(model, DATA, batch_size=10)
    assert model.training
    assert model.dropout.training
    model.eval()
    with torch.no_grad():
        features, probabilities = model.body(INPUTS).relu(), model(INPUTS).double().softmax(-1)
    np.testing.assert_allclose(found.features, features, rtol=1e-6)
    np.testing.assert_allclose(found.probabilities, probabilities, rtol=1e-6)
    assert not model.head._forward_pre_hooks
    assert last_layer(model, INPUTS) is model.head


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(inputs.reshape(-1, 3, 2)).mean(1)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (nn.Sequential(nn.Linear(6, 8), nn.ReLU()), None),
        (
            nn.Sequential(nn.Linear(6, 8), nn.Unflatten(1, (4, 2)), nn.Conv1d(4, 3, 2), nn.Flatten()),
            "no linear",
        ),
        (nn.ReLU(), "no linear layer of the model gives the classes"),
        (Tokens(), "is not one row per example"),
    ],
)
def test_models_without_one_are_refused(model: nn.Module, says: str | None) -> None:
    if says is None:
        assert last_layer(model, INPUTS) is model[0]
        return
    with pytest.raises(InputError, match=says):
        last_layer(model, INPUTS)
