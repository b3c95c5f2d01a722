"""Muon, weight decay on matrices, WSD, bfloat16, compiled models and averages: each by an equality."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headrace import random
from headrace.errors import InputError, InputErrors
from headrace.sampling.batches import shuffled_batches
from headrace.training.data import TensorData
from headrace.training.evaluation import evaluator
from headrace.training.hidden import hidden_matrices
from headrace.training.loop import Measurement, train
from headrace.training.losses import token_cross_entropy
from headrace.training.optimizers import build_optimizer
from headrace.training.recipe import Recipe
from headrace.training.schedules import check_schedule, learning_rate, warmup

VOCABULARY, WINDOW, STEPS = 7, 5, 6
RNG = torch.Generator().manual_seed(3)
TOKENS = torch.randint(0, VOCABULARY, (24, WINDOW + 1), generator=RNG)
DATA = TensorData(TOKENS[:, :-1], TOKENS[:, 1:])


class Model(nn.Module):
    """An embedding, a hidden layer, a norm and an output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.hidden = nn.Linear(8, 12)
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.hidden(self.embedding(tokens)).relu())).transpose(1, 2)


def model() -> Model:
    with random.torch_stream(0, "test"):
        return Model()


def run(made: nn.Module, recipe: Recipe, **settings: Any) -> list[Measurement]:
    measure = evaluator({"validation": DATA}, token_cross_entropy, token_cross_entropy)
    given: dict[str, Any] = {"evaluate": measure, **settings}
    return list(
        train(
            model=made,
            data=DATA,
            loss=token_cross_entropy,
            batches=shuffled_batches(len(DATA), 8, seed=0, path=("test",)),
            recipe=recipe,
            budget_steps=STEPS,
            evaluation_steps=range(STEPS + 1),
            **given,
        )
    )


def by_hand(made: nn.Module, step: Callable[[int], object], **autocast: Any) -> None:
    """The same batches, in a plain loop."""
    batches = shuffled_batches(len(DATA), 8, seed=0, path=("test",))
    for number in range(STEPS):
        inputs, targets = DATA.fetch(next(batches).indices)
        made.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(autocast)):
            outputs = made(inputs)
            rows = outputs.transpose(1, 2).reshape(-1, VOCABULARY)
            losses = nn.functional.cross_entropy(rows, targets.reshape(-1), reduction="none")
        losses.view(8, WINDOW).mean(1).backward(torch.full((8,), 1 / 8))
        step(number)


def assert_same(first: nn.Module, second: nn.Module, rtol: float = 0.0, atol: float = 0.0) -> None:
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol, msg=name)


def test_muon_moves_hidden_matrices_and_adamw_the_rest() -> None:
    ours, theirs = model(), model()
    adam: dict[str, Any] = {"beta1": 0.7, "beta2": 0.9, "epsilon": 1e-6}
    recipe = Recipe(optimizer="muon", learning_rate=0.02, momentum=0.8, weight_decay=0.1, **adam)
    muon = torch.optim.Muon(
        [theirs.hidden.weight], lr=0.02, momentum=0.8, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    rest = [p for p in theirs.parameters() if p is not theirs.hidden.weight]
    adamw = torch.optim.AdamW(rest, lr=0.02, betas=(0.7, 0.9), eps=1e-6, weight_decay=0.1, fused=True)
    run(ours, recipe)
    by_hand(theirs, lambda _: (muon.step(), adamw.step()))
    assert_same(ours, theirs)


def test_hidden_matrices_are_neither_embeddings_nor_the_last_layer_nor_tied_to_one() -> None:
    made = model()
    assert hidden_matrices(made) == {id(made.hidden.weight)}
    tied = model()
    tied.hidden = nn.Linear(8, VOCABULARY, bias=False)
    tied.hidden.weight = tied.embedding.weight
    assert hidden_matrices(tied) == frozenset()
    lstm = nn.ModuleList([nn.LSTM(4, 4), nn.Linear(4, 3)])
    assert len(hidden_matrices(lstm)) == 2
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(2, 2))
    recipe = Recipe(optimizer="muon", learning_rate=0.1)
    made_of = build_optimizer(convolution.parameters(), recipe, convolution)
    assert sum(len(group["params"]) for group in made_of.param_groups) == 4


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adamw", "muon"])
def test_weight_decay_on_matrices_leaves_biases_and_norms_alone(optimizer: str) -> None:
    ours = model()
    before = copy.deepcopy(ours)
    recipe = Recipe(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, weight_decay_on="matrices")
    built = build_optimizer(ours.parameters(), recipe, ours)
    for parameter in ours.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    for (name, now), old in zip(ours.named_parameters(), before.parameters(), strict=True):
        # w - lr weight_decay w without a gradient; Nesterov's first update is 1 + momentum times as large.
        shrunk = old * (0.905 if optimizer == "nesterov" else 0.95)
        expected = shrunk if now.dim() > 1 else old
        torch.testing.assert_close(now, expected, msg=name)


def test_wsd_is_flat_and_then_falls_to_zero_by_its_closed_form() -> None:
    wsd: dict[str, Any] = {"optimizer": "sgd", "schedule": "wsd", "cooldown_fraction": 0.4}
    recipe = Recipe(learning_rate=2.0, warmup_fraction=0.2, **wsd)
    rates = [learning_rate(recipe, step, 10) for step in range(10)]
    assert rates == pytest.approx([2 / 3, 4 / 3, 2, 2, 2, 2, 2, 1.5, 1.0, 0.5])
    assert learning_rate(recipe, 10, 10) == 0
    for fraction, good in ((0.6, True), (0.7, False)):
        long = Recipe(learning_rate=1, warmup_fraction=fraction, **wsd)
        if good:
            check_schedule(long, 10)
            continue
        with pytest.raises(InputError, match=r"warmup_fraction: the warm-up must end by step 6, the start"):
            check_schedule(long, 10)


def test_a_warm_up_by_share_is_that_of_as_many_steps() -> None:
    for schedule in ("constant", "linear", "cosine"):
        share = Recipe(optimizer="sgd", learning_rate=1, schedule=schedule, warmup_fraction=0.3)
        steps = Recipe(optimizer="sgd", learning_rate=1, schedule=schedule, warmup_steps=6)
        for step in range(20):
            assert learning_rate(share, step, 20) == learning_rate(steps, step, 20)
    with pytest.raises(InputErrors, match="warmup_steps or warmup_fraction, not both"):
        Recipe(optimizer="sgd", learning_rate=1, warmup_steps=1, warmup_fraction=0.1)


def test_bfloat16_is_torchs_autocast_in_training_and_evaluation() -> None:
    ours, theirs = model(), model()
    evaluate = evaluator({"validation": DATA}, token_cross_entropy, token_cross_entropy, precision="bfloat16")
    found = run(ours, Recipe(optimizer="sgd", learning_rate=0.5), precision="bfloat16", evaluate=evaluate)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5, fused=True)
    by_hand(theirs, lambda _: optimizer.step(), bfloat16=True)
    assert_same(ours, theirs)
    assert all(parameter.dtype == torch.float32 for parameter in ours.parameters())
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        loss = token_cross_entropy(theirs(DATA.inputs), DATA.targets).mean()
    assert found[-1].metrics["validation/loss"] == pytest.approx(float(loss), rel=1e-6)
    full = run(model(), Recipe(optimizer="sgd", learning_rate=0.5))
    assert found[-1].metrics["validation/loss"] != full[-1].metrics["validation/loss"]
    assert found[-1].metrics["validation/loss"] == pytest.approx(
        full[-1].metrics["validation/loss"], rel=0.02
    )


def test_the_average_of_weights_is_the_closed_form_and_leaves_the_weights_alone() -> None:
    decay, recipe = 0.7, Recipe(optimizer="adamw", learning_rate=0.05)
    plain = run(other := model(), recipe)
    seen: list[dict[str, Tensor]] = []

    def evaluate(now: nn.Module) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in now.state_dict().items()})
        return evaluator({"validation": DATA}, token_cross_entropy, token_cross_entropy)(now)

    found = run(ours := model(), recipe, ema_decay=decay, evaluate=evaluate)
    assert_same(ours, other)
    weights, averages = seen[0::2], seen[1::2]
    expected = weights[1]
    for step in range(1, STEPS + 1):
        if step > 1:
            now = weights[step]
            expected = {name: decay * old + (1 - decay) * now[name] for name, old in expected.items()}
        for name, value in expected.items():
            torch.testing.assert_close(averages[step][name], value, rtol=1e-5, atol=1e-7)
    assert averages[0].keys() == weights[0].keys()
    last = found[-1].metrics
    assert {name: last[name] for name in plain[-1].metrics} == plain[-1].metrics
    assert last["validation/ema_loss"] != last["validation/loss"]
    assert last["validation/ema_error"] == last["validation/ema_loss"]
    for wrong in (0.0, 1.0, -1.0):
        with pytest.raises(InputError, match="ema_decay: must be between 0 and 1"):
            run(model(), recipe, ema_decay=wrong)


@pytest.mark.slow
def test_a_compiled_model_trains_as_the_model_itself() -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.5)
    plain = run(first := model(), recipe)
    compiled = run(second := model(), recipe, compiled=True)
    assert_same(first, second, rtol=1e-4, atol=1e-5)
    assert compiled[-1].metrics["validation/loss"] == pytest.approx(
        plain[-1].metrics["validation/loss"], rel=1e-4
    )


def test_a_warm_up_is_a_line_that_ends_at_one() -> None:
    for steps in (0, 1, 4):
        expected = [(step + 1) / (steps + 1) for step in range(steps)] + [1.0] * 6
        assert [warmup(step, steps) for step in range(steps + 6)] == expected
