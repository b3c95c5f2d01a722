"""What would fail in training, or be silently wrong, is found before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from headrace import Workload
from headrace.errors import InputError
from headrace.training.data import MapData, TensorData
from headrace.training.evaluation import evaluate
from headrace.training.losses import classification_error, cross_entropy, squared_error
from headrace.workloads.inspection import inspected

N = 24
RNG = torch.Generator().manual_seed(5)
INPUTS = torch.randn(N, 4, generator=RNG)
CLASSES = torch.arange(N) % 3
TOKENS = torch.randint(0, 3, (N, 4), generator=RNG)


def own_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs, targets)


def own_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return classification_error(outputs, targets)


def own_sum(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs.sum(1)


def hits(outputs: Tensor, targets: Tensor) -> Tensor:
    right = (outputs.argmax(1) == targets).float()
    return right if right.dim() == 1 else right.mean(1)


def bce(outputs: Tensor, targets: Tensor) -> Tensor:
    losses = nn.functional.binary_cross_entropy_with_logits(
        outputs, targets.to(outputs.dtype), reduction="none"
    )
    return losses.flatten(1).mean(1) if losses.dim() > 1 else losses


def wrong_labels(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0) != targets.bool()).flatten(1).any(1).float()


def mean_of(measure: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda outputs, targets: measure(outputs, targets).mean()


class Then(nn.Module):
    """A linear layer, then anything."""

    def __init__(self, then: Callable[[Tensor], Any], outputs: int = 3) -> None:
        super().__init__()
        self.layer, self.then = nn.Linear(4, outputs), then

    def forward(self, x: Tensor) -> Any:
        return self.then(self.layer(x))


class PerToken(nn.Module):
    """[batch, tokens] numbers -> [batch, classes, tokens], or with the last two axes exchanged."""

    def __init__(self, classes: int, *, exchanged: bool = False) -> None:
        super().__init__()
        self.layer, self.exchanged = nn.Linear(1, classes), exchanged

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.layer(x.unsqueeze(-1))
        return outputs if self.exchanged else outputs.transpose(1, 2)


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.embedding(x).mean(1)


class Output(NamedTuple):
    loss: None
    logits: Tensor


def made(
    given: Tensor = CLASSES, model: Callable[[], nn.Module] = lambda: nn.Linear(4, 3), **changes: Any
) -> Workload:
    inputs = changes.pop("inputs", INPUTS)
    data = TensorData(inputs, given)
    fields: dict[str, Any] = {"name": "mine", "train": data, "validation": data, "goal": 0.1}
    return Workload(**{**fields, "build_model": model, **changes})


def inspect(workload: Workload) -> Workload:
    return inspected(workload, workload.build_model())


SHARED = nn.Linear(4, 3)


def WIDE() -> nn.Module:
    return nn.Linear(4, 4)


def TOKEN_MODEL() -> nn.Module:
    return PerToken(3)


NOTHING_TO_LEARN = TOKENS.where(torch.arange(N)[:, None] != 7, -100)
EACH = nn.CrossEntropyLoss(reduction="none")
OWN_LABELS = {"loss": bce, "metric": wrong_labels}
NUMBERS = {"loss": squared_error, "metric": squared_error}


@pytest.mark.parametrize(
    ("workload", "kind"),
    [
        (made(), "classes"),
        (made(CLASSES.to(torch.uint8)), "classes"),
        (made(CLASSES.to(torch.uint16)), "classes"),
        (made(loss=own_loss, metric=own_error), "classes"),
        (made(torch.stack([CLASSES == 0, CLASSES > 1, CLASSES > 0], 1), **OWN_LABELS), "labels"),
        (made(torch.stack([CLASSES == 0, CLASSES > 1, CLASSES > 0], 1).float(), **OWN_LABELS), "labels"),
        (made((CLASSES > 1).float(), lambda: Then(lambda o: o.squeeze(1), 1), **NUMBERS), "numbers"),
        (made(CLASSES, lambda: nn.Linear(4, 1), **NUMBERS), "numbers"),
        (made(CLASSES - 7, lambda: nn.Linear(4, 1), **NUMBERS), "numbers"),
        (made(INPUTS.softmax(1), WIDE, metric=lambda o, t: (o - t).abs().sum(1)), "numbers"),
        (made(TOKENS, TOKEN_MODEL), "tokens"),
        (made(TOKENS.where(torch.arange(4) > 0, -100), TOKEN_MODEL), "tokens"),
        (made(TOKENS, WIDE, **NUMBERS), "numbers"),
        (made(CLASSES, targets="numbers", loss=lambda o, t: (o[:, 0] - t).abs(), metric=squared_error,
              model=lambda: nn.Linear(4, 1)), "numbers"),
    ],
)  # fmt: skip
def test_the_kind_of_targets_is_found_out_once(workload: Workload, kind: str) -> None:
    stated = inspect(workload)
    assert stated.targets == kind
    assert inspect(stated).targets == kind


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        # Targets.
        (made(CLASSES + 1), r"train, target 2: class numbers must be from 0 to 2.*got 3.*targets - 1"),
        (made(CLASSES.where(CLASSES != 1, 17)), "target 1.*got 17.*more outputs"),
        (made(CLASSES.where(CLASSES != 1, -1)), "got -1. Leave out the 8 examples without a label"),
        (made(NOTHING_TO_LEARN, TOKEN_MODEL), "train, example 7: all targets are -100"),
        (made(CLASSES.where(CLASSES != 1, -100)), "Leave .* without a label out of the training split"),
        (made(CLASSES % 2 * 2 - 1), r"\(targets \+ 1\) // 2"),
        (made(CLASSES / 2), "squared_error"),
        (made(CLASSES.unsqueeze(1)), "squeeze"),
        (made(nn.functional.one_hot(CLASSES)), "argmax"),
        (made(nn.functional.one_hot(CLASSES).float()), "argmax"),
        (made((CLASSES[:, None] > torch.arange(3)).float(), metric=wrong_labels), "binary cross-entropy"),
        (made(CLASSES.float().where(CLASSES > 0, torch.nan), lambda: nn.Linear(4, 1), **NUMBERS),
         "train, example 0: 8 targets are NaN"),
        (made(TOKENS.where(INPUTS > 0, 255), TOKEN_MODEL), r"\(0, \d\).*got 255. Replace 255 by -100"),
        (made(CLASSES + 1, targets="classes", loss=own_sum, metric=own_sum), "got 3"),
        # Outputs.
        (made(CLASSES % 2, lambda: nn.Linear(4, 1)), "two outputs"),
        (made(CLASSES % 2, lambda: nn.Linear(4, 1), loss=lambda o, t: bce(o.squeeze(1), t)), "two outputs"),
        (made(TOKENS, lambda: PerToken(5, exchanged=True)), "transpose"),
        (made(TOKENS, lambda: PerToken(4, exchanged=True)), r"\[batch, tokens, classes\].*transpose"),
        (made(model=lambda: Then(lambda o: (o, o))), r"one tensor.*got 'tuple'. Give .*inputs\)\[0\]"),
        (made(model=lambda: Then(lambda o: {"out": o, "aux": o})), r"model\(inputs\)\['out'\]\)"),
        (made(model=lambda: Then(lambda o: Output(None, o))), r"model\(inputs\)\.logits"),
        (made(model=lambda: Then(lambda o: o.argmax(1))), "floating-point numbers.*got 'torch.int64"),
        (made(model=lambda: Then(lambda o: o.sum(0))), "first axis must be the batch"),
        (made(model=lambda: SHARED), "second call returns parameters of the first.*each call returns"),
        (made(model=lambda: nn.Sequential(nn.ReLU(), SHARED)), "second call returns parameters of the first"),
        # Inputs.
        (made(inputs=INPUTS.double()), "got 'inputs of torch.float64'.*inputs.to"),
        (made(inputs=INPUTS.byte()), "got 'inputs of torch.uint8'.*Pixels"),
        (made(inputs=INPUTS.half()), "inputs of torch.float16"),
        (made(inputs=INPUTS.where(INPUTS < 1, torch.nan)), "13 examples have inputs that are NaN"),
        (made(inputs=TOKENS * 9, model=Embedded), "index out of range.*from 0 to 18: let the embedding"),
        # Losses.
        (made(loss=nn.CrossEntropyLoss()), r"loss must give one number .*\[16\].*got \[\].*reduction"),
        (made(loss=lambda o, t: 0.5), "got 'float'"),
        (made(TOKENS, TOKEN_MODEL, loss=EACH), r"got \[16, 4\].*flatten"),
        (made(loss=lambda o, t: cross_entropy(o.detach(), t)), "the loss has no gradient"),
        (made(loss=own_error), "the loss has no gradient"),
        (made(loss=lambda o, t: cross_entropy(o, t) * torch.nan), "loss of an .* not finite, although"),
        (made(model=nn.Identity), "no parameter that requires a gradient"),
        (made(model=lambda: nn.Linear(4, 3).requires_grad_(False)), "no parameter that requires a gradient"),
        # Metrics.
        (made(metric=mean_of(classification_error)), "metric must give one number .*Leave out .mean"),
        (made(TOKENS, TOKEN_MODEL, metric=lambda o, t: o.argmax(1) != t), r"got \[16, 4\].*flatten"),
        (made(metric=lambda o, t: classification_error(o, t).mean().item()), "got 'float'"),
        (made(metric=lambda o, t: classification_error(o, t) / 0), "metric of an .* not finite"),
        (made(metric=hits), "'error' is higher for better outputs.*1 - metric"),
        (made(metric=lambda o, t: -cross_entropy(o, t)), "higher for better"),
        (made(TOKENS, TOKEN_MODEL, metric=hits), "higher"),
        (made(INPUTS, WIDE, loss=squared_error, metric=lambda o, t: -squared_error(o, t)), "higher"),
        (made(metric=lambda o, t: o[:, 0] * 0, metric_name="F1"), "'F1' is higher"),
    ],
)  # fmt: skip
def test_refused_before_training_with_the_fix(workload: Workload, words: str) -> None:
    with pytest.raises(InputError, match=f"(?s){words}"):
        inspect(workload)


def test_models_may_share_what_is_not_trained() -> None:
    frozen = nn.Linear(4, 4).requires_grad_(False)
    inspect(made(model=lambda: nn.Sequential(frozen, nn.Linear(4, 3))))


def test_a_boolean_metric_and_a_negative_loss_are_right() -> None:
    inspect(made(metric=lambda o, t: o.argmax(1) != t))
    inspect(made(loss=lambda o, t: cross_entropy(o, t) - 10))


def test_a_prototype_model_whose_outputs_are_distances_is_not_taken_for_an_accuracy() -> None:
    inspect(made(loss=lambda o, t: cross_entropy(-o, t), metric=lambda o, t: (o.argmin(1) != t).float()))


def test_items_are_sampled_and_random_numbers_left_alone() -> None:
    seen: list[int] = []

    class Items:
        def __len__(self) -> int:
            return 1000

        def __getitem__(self, index: int) -> Any:
            seen.append(index)
            return INPUTS[index % N], CLASSES[index % N]

    model, before = Then(nn.Dropout(0.5)), torch.get_rng_state()
    inspected(made(train=MapData(Items())), model)
    assert torch.get_rng_state().equal(before)
    assert len(seen) < 300
    assert max(seen) > 900


def test_hidden_training_targets_are_not_read() -> None:
    workload = made(train=TensorData(INPUTS, torch.full((N,), -1)))
    assert inspected(workload, workload.build_model(), hidden=True).targets == "classes"
    with pytest.raises(InputError, match="got -1"):
        inspect(workload)


def test_documents_weigh_as_much_as_they_are_long() -> None:
    targets = TOKENS.clone()
    targets[::2, 1:] = -100
    workload = inspect(made(targets, TOKEN_MODEL, mean_over="targets"))
    outputs = torch.randn(N, 3, 4, generator=RNG)
    mean = nn.functional.cross_entropy(outputs, targets)
    assert workload.training_loss(outputs, targets).mean().item() == pytest.approx(mean.item())
    data = TensorData(outputs, targets)
    found = evaluate(nn.Identity(), data, workload.loss, workload.metric, weigh=workload.weigh)
    counted = targets != -100
    assert found["loss"] == pytest.approx(mean.item())
    assert found["error"] == pytest.approx((outputs.argmax(1) != targets)[counted].float().mean().item())
    with pytest.raises(InputError, match="all training targets are -100"):
        _ = made(torch.full((N, 4), -100), mean_over="targets").training_loss


@pytest.mark.parametrize("field", ["targets", "mean_over"])
def test_fields_have_a_few_values(field: str) -> None:
    with pytest.raises(InputError, match=f"{field} must be one of .*; got 'documents'"):
        made(**{field: "documents"})


SHARES = torch.softmax(torch.randn(N, 3, generator=RNG), 1)


@pytest.mark.parametrize(
    ("workload", "outputs"),
    [
        (made(), 3),
        (made(SHARES, metric=lambda o, t: (o.argmax(1) != t.argmax(1)).float()), None),
        (made((SHARES > 0.3).long(), loss=bce, metric=bce), 3),
        (made(TOKENS, TOKEN_MODEL), 3),
        (made(SHARES * 2, loss=squared_error, metric=squared_error), None),
        (made(SHARES[:, 0], lambda: Then(lambda o: o[:, 0]), loss=squared_error, metric=squared_error), None),
    ],
)
def test_the_number_of_classes_is_found_out_with_the_kind(workload: Workload, outputs: int | None) -> None:
    assert inspect(workload).outputs == outputs


@pytest.mark.parametrize(
    ("given", "kind", "what"),
    [
        (SHARES, "classes", "one class number for each example"),
        (TOKENS, "classes", "one class number for each example"),
        (CLASSES, "tokens", "class numbers for the tokens"),
        (CLASSES, "labels", "0 or 1 for each class"),
        (SHARES, "labels", "0 or 1 for each class"),
    ],
)
def test_a_kind_that_the_targets_are_not_is_refused(given: Tensor, kind: Any, what: str) -> None:
    with pytest.raises(InputError, match=f"train: targets='{kind}' needs {what}"):
        inspect(made(given, targets=kind))


def test_another_number_of_outputs_than_is_stated_is_refused() -> None:
    assert inspect(made(outputs=3)).outputs == 3
    with pytest.raises(InputError, match=r"outputs: the model has another number .*; got '3, not 4'"):
        inspect(made(outputs=4))
    for wrong in (0, True, 2.5):
        with pytest.raises(InputError, match=r"Workload\.outputs: must be"):
            made(outputs=wrong)
