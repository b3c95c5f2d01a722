"""Bad input of language models: one clear message, exit code 2, and nothing lost or left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.cli.app import execute
from headrace.engines.registry import ENGINES

from .inline_engine import Given, InlineEngine

MODULE = """
import numpy as np
import torch
from torch import nn

from headrace import Workload
from headrace.training.data import TensorData
from headrace.training.losses import token_cross_entropy
from headrace.workloads import language_model, read_megatron, read_tokens


class Bigrams(nn.Module):
    def __init__(self, vocabulary, window=0):
        super().__init__()
        self.table = nn.Embedding(vocabulary, vocabulary)

    def forward(self, tokens):
        return self.table(tokens)


def from_bin(window: int = 4, vocabulary: int = 5):
    return language_model(read_tokens("t.bin", vocabulary=vocabulary), model=Bigrams, window=window, goal=0.1)


def from_megatron():
    return language_model(read_megatron("m"), model=Bigrams, window=4, goal=0.1)


def from_array(tokens):
    return language_model(np.array(tokens * 20), model=Bigrams, window=4, goal=0.1)


class Transposed(Bigrams):
    def forward(self, tokens):
        return self.table(tokens).transpose(1, 2)


def ignored(row: int, split: str = "train"):
    tokens = torch.arange(60).reshape(12, 5) % 5
    data = {}
    for name in ("train", "validation"):
        targets = tokens[:, 1:].clone()
        if name == split:
            targets[row] = -100
        data[name] = TensorData(tokens[:, :-1], targets)
    return Workload(
        name="ignored", build_model=lambda: Transposed(5), goal=0.1, loss=token_cross_entropy,
        metric=token_cross_entropy, metric_name="nats", targets="tokens", **data,
    )
"""
FILE = """
[workload]
name = "my_language:{function}"
settings = {{ {settings} }}
[grid]
batch_size = [4]
optimizer = ["adamw"]
[search]
trials = 2
[search.space]
learning_rate = {{ low = 1e-3, high = 1e-2, scale = "log" }}
[training]
budget = {{ tokens = 200 }}
[report]
portrait_epochs = 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(ENGINES, "local", Given(InlineEngine))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "my_language", raising=False)
    Path("my_language.py").write_text(MODULE, encoding="utf-8")
    (np.arange(400) % 5).astype("<u2").tofile("t.bin")
    return tmp_path


def run(function: str, settings: str = "") -> int:
    Path("e.toml").write_text(FILE.format(function=function, settings=settings), encoding="utf-8")
    return execute(["run", "e.toml", "--out", "out"])


def cut() -> None:
    Path("t.bin").write_bytes(Path("t.bin").read_bytes()[:-1])


def megatron(tokens: int) -> None:
    """Two documents of 8 and 12 tokens, and a .bin with other many."""
    (np.arange(tokens) % 5).astype("<u2").tofile("m.bin")
    head = b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little") + b"\x08"
    counts = (2).to_bytes(8, "little") + (3).to_bytes(8, "little")
    rest = np.array([8, 12], "<i4").tobytes() + np.array([0, 16], "<i8").tobytes()
    Path("m.idx").write_bytes(head + counts + rest + np.array([0, 1, 2], "<i8").tobytes())


@pytest.mark.parametrize(
    ("before", "function", "settings", "says"),
    [
        (None, "from_bin", "vocabulary = 4", "t.bin, token 4: a token is outside the vocabulary of 4; got 4"),
        (None, "from_array", "tokens = [0, 1, -1]", "a token is outside the vocabulary of 2; got -1"),
        (None, "from_bin", "window = 20", "a window of 20 needs 21 tokens; got '20 tokens'"),
        (cut, "from_bin", "", "t.bin, byte 798: the file ends within a token"),
        (
            lambda: megatron(19),
            "from_megatron",
            "",
            "m.bin: the index says 20 tokens of type uint16; got '19 tokens'",
        ),
        (
            lambda: megatron(21),
            "from_megatron",
            "",
            "m.bin: the index says 20 tokens of type uint16; got '21 tokens'",
        ),
        (None, "ignored", "row = 7", "train, example 7: all targets are -100"),
    ],
)
def test_it_is_refused_with_its_place(
    here: Path, capsys: pytest.CaptureFixture[str], before, function: str, settings: str, says: str
) -> None:
    if before is not None:
        before()
    assert run(function, settings) == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert "Traceback" not in shown


def test_an_example_without_targets_does_not_count_in_an_evaluation(here: Path) -> None:
    assert run("ignored", 'row = 7, split = "validation"') == 0


def test_a_goal_that_is_not_reached_comes_with_the_best_so_far(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("from_bin") == 0
    said = capsys.readouterr().out
    assert "0 of 2 trials reached the goal, validation/nats below 0.1; the best ended at" in said
