"""The models of the built-in workloads: each a function of an example's shape and the number of classes.

All use torch's own initialisers, so a model is a pure function of the stream in which it is built
(`headrace.random.torch_stream`). None has batch normalisation: it would tie the function that is trained to
the batch size, the very thing under study, and gradient accumulation would no longer equal one large batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from headrace.errors import InputError

Model = Callable[[tuple[int, ...], int], nn.Module]
"""(shape of one example, number of classes) -> a freshly initialised model with outputs [batch classes]."""


def logistic(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Multinomial logistic regression on the flattened example."""
    return mlp(shape, classes, hidden=())


def mlp(shape: tuple[int, ...], classes: int, hidden: Sequence[int] = (100,)) -> nn.Module:
    """A fully connected network with ReLU; `hidden` are the widths of its layers, from the input on."""
    widths = [math.prod(shape), *hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], classes))


def simple_cnn(
    shape: tuple[int, ...],
    classes: int,
    *,
    filters: tuple[int, int] = (32, 64),
    dense: int = 1024,
    dropout: float = 0.4,
) -> nn.Module:
    """The Simple CNN of Shallue et al. (2019): two 5x5 convolutions with max-pooling, and a dense layer.

    As commonly stated, not confirmed in the paper's code: same padding, ReLU, dropout before the output.
    Base, for 28x28x1 and 10 classes: 3,274,634 parameters. Narrow: 16, 32 and 512; wide: 64, 128 and 2048.

    Raises:
        InputError: The images are smaller than 4x4.
    """
    channels, height, width = _image_shape(shape, least=4)
    first, second = filters
    return nn.Sequential(
        nn.Conv2d(channels, first, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), dense),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(dense, classes),
    )


def resnet8(
    shape: tuple[int, ...], classes: int, *, filters: tuple[int, int, int] = (16, 32, 64)
) -> nn.Module:
    """A residual network of 7 convolutions and a dense layer, without batch normalisation.

    One convolution, three blocks of two (the second and third halve the image), the mean over the image, and
    the output layer. Shallue et al. (2019) are commonly said to train ResNet-8 on CIFAR-10 without batch
    normalisation; the layout is that of He et al. (2016) with one block a stage. Each block's last
    convolution starts at zero, so a fresh network is a shallow one and needs no normalisation (Zhang et al.,
    Fixup, 2019).
    """
    channels, _, _ = _image_shape(shape, least=4)
    first, second, third = filters
    return nn.Sequential(
        _he(nn.Conv2d(channels, first, 3, padding=1)),
        nn.ReLU(),
        _Residual(first, first, stride=1),
        _Residual(first, second, stride=2),
        _Residual(second, third, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(third, classes),
    )


class _Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut around them, which is a 1x1 convolution if the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = _he(nn.Conv2d(inside, outside, 3, stride=stride, padding=1))
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else nn.Conv2d(inside, outside, 1, stride=stride, bias=False)

    def forward(
        self, x: Float[Tensor, "batch inside height width"]
    ) -> Float[Tensor, "batch outside rows columns"]:
        inner = self.second(functional.relu(self.first(x)))
        return functional.relu(inner + self.shortcut(x))


class SentenceCNN(nn.Module):
    """The convolutional sentence classifier of Kim (2014), with embeddings learnt from scratch (CNN-rand).

    Args:
        vocabulary: Number of token numbers; 0 is padding and its embedding stays zero.
        classes: Number of classes.
        embedding: Width of a token's embedding.
        filters: Filters of each width.
        widths: Tokens that a filter sees.
        dropout: Share of the pooled features that is dropped in training.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        *,
        embedding: int = 64,
        filters: int = 64,
        widths: Sequence[int] = (3, 4, 5),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=0)
        with torch.no_grad():
            # Kim's range: torch's standard normal is so wide that momentum SGD diverges at usual rates.
            self.embedding.weight[1:].uniform_(-0.25, 0.25)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, filters, width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * len(widths), classes)

    def forward(self, tokens: Int64[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        """Logits; the sentence must be as long as the widest filter."""
        embedded = self.embedding(tokens).transpose(1, 2)
        # The largest response over all places comes first, ReLU after it: the same, at less cost.
        pooled = [functional.relu(convolve(embedded).amax(2)) for convolve in self.convolutions]
        return self.output(self.dropout(torch.cat(pooled, dim=1)))


def _he(convolution: nn.Conv2d) -> nn.Conv2d:
    """Variance-preserving initialisation before ReLU (He et al., 2015)."""
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return convolution


def _image_shape(shape: tuple[int, ...], least: int) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape[1:]) < least:
        raise InputError(
            f"this model takes images of channels x height x width, at least {least} x {least}", got=shape
        )
    return shape
