"""Which of a model's parameters are matrices of its hidden layers."""

from __future__ import annotations

from torch import nn


def hidden_matrices(model: nn.Module) -> frozenset[int]:
    """The ids of a model's matrices that belong to hidden layers.

    They are its parameters of two axes, except the weights of embeddings and of the last linear layer, which
    gives the outputs: their rows are words or classes, of which most are not in a batch.
    """
    apart = [
        module.weight for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)
    ]
    linear = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    except_for = {id(parameter) for parameter in [*apart, *linear[-1:]]}
    return frozenset(id(p) for p in model.parameters() if p.dim() == 2 and id(p) not in except_for)
