from __future__ import annotations

import pytest
import torch

from headrace import random
from headrace.errors import InputError
from headrace.workloads.mnist import WIDTHS, Width
from headrace.workloads.models import SentenceCNN, logistic, mlp, resnet8, simple_cnn

IMAGE = (1, 28, 28)


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts() -> None:
    assert parameters(simple_cnn(IMAGE, 10)) == 3_274_634
    assert parameters(logistic((64,), 10)) == 650
    assert parameters(mlp(IMAGE, 10, hidden=(100,))) == 785 * 100 + 101 * 10
    assert parameters(mlp((3,), 2, hidden=(5, 4))) == 4 * 5 + 6 * 4 + 5 * 2


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        # Two convolutions of 5 x 5, 7 x 7 x filters into the dense layer, ten classes.
        ("narrow", 25 * 16 + 16 + 25 * 16 * 32 + 32 + 49 * 32 * 512 + 512 + 513 * 10),
        ("wide", 25 * 64 + 64 + 25 * 64 * 128 + 128 + 49 * 128 * 2048 + 2048 + 2049 * 10),
    ],
)
def test_narrow_and_wide_simple_cnn(width: Width, expected: int) -> None:
    filters, dense = WIDTHS[width]
    assert parameters(simple_cnn(IMAGE, 10, filters=filters, dense=dense)) == expected


def test_resnet8_has_seven_convolutions_on_its_longest_path_and_no_batch_normalisation() -> None:
    model = resnet8((3, 32, 32), 10)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.kernel_size == (3, 3) for m in convolutions) == 7
    assert sum(m.kernel_size == (1, 1) for m in convolutions) == 2
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules())


def test_a_fresh_resnet8_is_its_shortcuts_alone() -> None:
    """What the blocks' first convolutions hold makes no difference before training."""
    model = resnet8((3, 8, 8), 3)
    x = torch.ones(1, 3, 8, 8)
    before = model(x)
    for name, parameter in model.named_parameters():
        if ".first." in name:
            parameter.data.add_(1.0)
    assert torch.equal(model(x), before)


def test_every_parameter_of_resnet8_learns() -> None:
    """Blocks begin at zero; after one step their first convolutions get gradients as well."""
    with random.torch_stream(0, "resnet"):
        model = resnet8((3, 8, 8), 3)
        x = torch.randn(4, 3, 8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.parameters())


@pytest.mark.parametrize("size", [4, 9, 28, 33])
def test_convolutional_models_take_images_of_any_size(size: int) -> None:
    x = torch.zeros(2, 3, size, size)
    assert simple_cnn((3, size, size), 5, filters=(2, 3), dense=4)(x).shape == (2, 5)
    assert resnet8((3, size, size), 5)(x).shape == (2, 5)


@pytest.mark.parametrize("shape", [(64,), (1, 3, 28)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"at least 4 x 4; got \("):
        simple_cnn(shape, 10)


def test_sentence_cnn_by_hand() -> None:
    """One filter of width 2 that sums its two tokens' one-wide embeddings: the largest pair sum comes out."""
    model = SentenceCNN(5, 2, embedding=1, filters=1, widths=(2,), dropout=0.0)
    convolution = model.convolutions[0]
    assert isinstance(convolution, torch.nn.Conv1d)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor([[0.0], [1.0], [2.0], [4.0], [-9.0]]))
        convolution.weight.fill_(1.0)
        assert convolution.bias is not None
        convolution.bias.zero_()
        model.output.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        model.output.bias.zero_()
    tokens = torch.tensor([[3, 1, 2, 3, 0], [4, 4, 4, 4, 4]])
    # Pair sums 5, 3, 6, 4 -> 6; all -18 -> ReLU 0.
    assert model(tokens).tolist() == [[6.0, -6.0], [0.0, 0.0]]


def test_padding_of_a_sentence_is_not_learnt() -> None:
    model = SentenceCNN(6, 2, embedding=3, filters=2, dropout=0.0)
    assert float(model.embedding.weight[0].detach().abs().sum()) == 0
    model(torch.tensor([[2, 3, 4, 5, 0, 0]])).sum().backward()
    assert model.embedding.weight.grad is not None
    assert float(model.embedding.weight.grad[0].abs().sum()) == 0


def test_a_model_is_a_pure_function_of_its_stream() -> None:
    def first_weight(name: str) -> torch.Tensor:
        with random.torch_stream(0, name):
            return next(mlp((4,), 2).parameters()).detach()

    assert torch.equal(first_weight("a"), first_weight("a"))
    assert not torch.equal(first_weight("a"), first_weight("b"))
