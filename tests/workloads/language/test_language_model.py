"""A language model as a workload: its losses, its metrics, how it is called, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace import random
from headrace.errors import InputError
from headrace.training.evaluation import evaluator
from headrace.training.losses import IGNORED, cross_entropy, token_cross_entropy
from headrace.workloads import Corpus, Workload, language_model, load_workload, read_text
from headrace.workloads.inspection import inspected
from headrace.workloads.language.text import documents

TEXTS = [b"abcab", b"b", "éaccé".encode(), b"aab", b"cba", b"abcabcabc"]
WINDOW = 4


class Bigrams(nn.Module):
    """Logits of the next token by the last one."""

    def __init__(self, vocabulary: int, _window: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, vocabulary)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Any:
        return self.table(tokens)


class LikeNanoGPT(Bigrams):
    """Without targets the logits of the last token alone, as nanoGPT's."""

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Any:
        logits = self.table(tokens)
        return (logits[:, [-1]], None) if targets is None else (logits, logits.mean())


def workload(**changes: Any) -> Workload:
    corpus = documents(TEXTS, "characters")
    given: dict[str, Any] = {"validation": corpus, "test": corpus.part(np.array([[0, 6]]))}
    given |= {"model": Bigrams, "window": WINDOW, "goal": 1.0, "packing": "within", **changes}
    return language_model(corpus, **given)


def model_of(made: Workload) -> nn.Module:
    with random.torch_stream(0, "test"):
        return made.build_model()


def nats_by_hand(made: Workload, model: nn.Module) -> tuple[list[float], int]:
    """Nats of each counted token of the validation text, and its bytes."""
    corpus = documents(TEXTS, "characters")
    assert corpus.documents is not None
    assert corpus.token_bytes is not None
    table = model.state_dict()["model.table.weight"].double().log_softmax(1)
    found, size = [], 0
    for start, stop in corpus.documents.tolist():
        row = corpus.tokens[start:stop].tolist()
        for number in range(1, len(row)):
            found.append(-float(table[row[number - 1], row[number]]))
            size += int(corpus.token_bytes[row[number]])
    return found, size


def measured(made: Workload, model: nn.Module) -> dict[str, float]:
    splits = {"validation": made.validation}
    return evaluator(
        splits, made.loss, made.metric, metric_name=made.metric_name, weigh=made.weigh, of_mean=made.of_mean
    )(model)


@pytest.mark.parametrize("metric", ["nats", "perplexity", "bits_per_byte"])
def test_metrics_are_those_of_all_counted_tokens(metric: str) -> None:
    made = workload(metric=metric)
    model = model_of(made)
    nats, size = nats_by_hand(made, model)
    mean = math.fsum(nats) / len(nats)
    expected = {
        "nats": mean,
        "perplexity": math.exp(mean),
        "bits_per_byte": math.fsum(nats) / size / math.log(2),
    }
    found = measured(made, model)
    assert found[f"validation/{metric}"] == pytest.approx(expected[metric], rel=1e-6)
    assert found["validation/loss"] == pytest.approx(mean, rel=1e-6)


def test_a_mean_over_examples_counts_windows_alike() -> None:
    made = workload(mean_over="examples")
    model = model_of(made)
    inputs, targets = made.validation.fetch(torch.arange(len(made.validation)))
    losses = made.loss(model(inputs), targets).detach()
    assert measured(made, model)["validation/nats"] == pytest.approx(float(losses.mean()), rel=1e-6)
    assert measured(made, model)["validation/nats"] != pytest.approx(
        measured(workload(), model)["validation/nats"], rel=1e-4
    )


def test_the_training_loss_is_the_mean_over_tokens_in_expectation() -> None:
    made = workload()
    model = model_of(made)
    nats, _ = nats_by_hand(made, model)
    inputs, targets = made.train.fetch(torch.arange(len(made.train)))
    losses = made.training_loss(model(inputs), targets).detach()
    assert float(losses.mean()) == pytest.approx(np.mean(nats), rel=1e-6)
    across = workload(packing="across")
    assert across.training_loss is across.loss, "weights that are all 1 cost nothing"


def test_token_cross_entropy_is_cross_entropy_with_and_without_padding_and_smoothing() -> None:
    rng = torch.Generator().manual_seed(1)
    outputs = torch.randn(5, 7, 11, generator=rng, dtype=torch.float64).transpose(1, 2).requires_grad_()
    targets = torch.randint(0, 11, (5, 7), generator=rng)
    targets[0] = IGNORED
    targets[1, 3:] = IGNORED
    for smoothing in (0.0, 0.2):
        losses = [loss(outputs, targets, smoothing) for loss in (token_cross_entropy, cross_entropy)]
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-13, atol=1e-13)
        first, second = (torch.autograd.grad(found.sum(), outputs)[0] for found in losses)
        torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-15)
    row = functional.cross_entropy(outputs[1, :, :3].T, targets[1, :3])
    assert float(token_cross_entropy(outputs, targets)[1].detach()) == pytest.approx(float(row))
    with pytest.raises(InputError, match="token numbers"):
        token_cross_entropy(outputs, targets.double())


@dataclass
class Answer:
    logits: Tensor


@pytest.mark.parametrize(
    "call",
    [
        lambda model, tokens: Answer(model(tokens)),
        lambda model, tokens: {"logits": model(tokens), "cache": 0},
        lambda model, tokens: {"scores": model(tokens)},
        lambda model, tokens: (model(tokens), None),
        lambda model, tokens: model(tokens=tokens),
    ],
)
def test_models_may_return_objects_dicts_and_tuples(call: Any) -> None:
    plain, called = workload(), workload(call=call)
    inputs, _ = plain.train.fetch(torch.arange(3))
    assert model_of(called)(inputs).equal(model_of(plain)(inputs))


def test_a_model_like_nanogpts_is_called_with_targets_and_the_message_says_so() -> None:
    made = workload(model=LikeNanoGPT)
    with pytest.raises(InputError, match=r"predicts the last token alone.*call=lambda model, tokens"):
        inspected(made, model_of(made))
    made = workload(model=LikeNanoGPT, call=lambda model, tokens: model(tokens, tokens)[0])
    assert inspected(made, model_of(made)).outputs == documents(TEXTS, "characters").size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"packing": "inside"}, "packing: must be 'across' or 'within'"),
        ({"metric": "bits"}, "metric: unknown metric"),
        ({"validation": None}, "validation: is missing"),
        ({"window": 0}, "window"),
        ({"window": 40, "packing": "across"}, r"test: a window of 40 needs 41 tokens|train: a window of 40"),
        ({"model": lambda _v, _w: 3}, "build_model must return a torch module"),
        ({"call": 3}, "call: must be a function"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_of(workload(**changes))


def test_bits_per_byte_need_the_bytes_of_a_token() -> None:
    tokens = np.arange(60) % 7
    with pytest.raises(InputError, match="bytes_per_token="):
        language_model(tokens, model=Bigrams, window=2, goal=1.0, metric="bits_per_byte")
    made = language_model(
        tokens, model=Bigrams, window=2, goal=1.0, metric="bits_per_byte", bytes_per_token=4.0
    )
    found = measured(made, model_of(made))
    assert found["validation/bits_per_byte"] == pytest.approx(found["validation/loss"] / math.log(2) / 4)


def test_a_vocabulary_larger_than_the_models_is_refused_before_training() -> None:
    made = language_model(np.arange(60) % 7, model=lambda _v, w: Bigrams(5, w), window=2, goal=1.0)
    with pytest.raises((InputError, IndexError)):
        inspected(made, model_of(made))


def test_tokens_are_the_unit_if_that_is_stated_and_stay_it() -> None:
    made = workload()
    assert made.counts_tokens
    stated = inspected(made, model_of(made))
    assert (stated.targets, stated.counts_tokens) == ("tokens", True)


@pytest.mark.parametrize("metric", ["nats", "perplexity", "bits_per_byte"])
def test_names_gpt_reaches_its_goal_in_any_metric_and_not_untrained(metric: str) -> None:
    made = load_workload("names-gpt", {"metric": metric})
    model = model_of(made)
    assert measured(made, model)[f"validation/{metric}"] > made.goal
    if metric != "nats":
        return
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    draws = random.generator(0, "test", "draws").integers(len(made.train), size=(150, 32))
    for indices in torch.from_numpy(draws):
        inputs, targets = made.train.fetch(indices)
        optimizer.zero_grad()
        made.training_loss(model(inputs), targets).mean().backward()
        optimizer.step()
    assert measured(made, model)["validation/nats"] < made.goal


def test_shakespeare(real_data: Any) -> None:
    text = read_text(real_data("shakespeare") / "input.txt")
    assert (len(text), text.size) == (1_115_394, 65)
    for name, parameters in (("shakespeare-gpt", 205_440), ("shakespeare-lstm", 280_897)):
        made = load_workload(name)
        assert sum(parameter.numel() for parameter in model_of(made).parameters()) == parameters
        assert (len(made.train), len(made.validation)) == (15_685, 871)


def test_a_corpus_of_something_else_is_refused() -> None:
    for tokens in (np.zeros((2, 2), int), np.zeros(3), np.zeros(0, int)):
        with pytest.raises(InputError):
            Corpus(tokens=tokens)
