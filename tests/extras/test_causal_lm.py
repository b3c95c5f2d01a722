"""A causal LM of transformers as a user's own workload, as docs/language.md has it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from headrace import random
from headrace.workloads import load_workload
from headrace.workloads.inspection import inspected
from workloads.language.documented import MOST_LINES, written

DATA = """
import torch
from transformers import LlamaConfig

config = LlamaConfig(
    vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
)


def rows(split):
    tokens = torch.randint(1, 50, (32, 9), generator=torch.Generator().manual_seed(len(split)))
    mask = torch.ones(8, dtype=torch.long)
    return [{"input_ids": row[:-1], "attention_mask": mask, "labels": row[1:]} for row in tokens]
"""


@pytest.mark.parametrize("name", ["my_llama", "my_rows"])
def test_it_runs_as_documented(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("my_data", name):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "my_data.py").write_text(DATA, encoding="utf-8")
    assert written(name, tmp_path) <= MOST_LINES
    workload = load_workload(f"{name}:llama", {})
    with random.torch_stream(0, "test"):
        model = workload.build_model()
        stated = inspected(workload, workload.build_model())
    assert stated.kind == "tokens"
    # The same loss as the model's own, which shifts the labels itself.
    inputs, targets = stated.train.fetch(torch.arange(4))
    tokens = inputs["input_ids"] if isinstance(inputs, dict) else inputs
    labels = torch.cat([tokens[:, :1], targets], 1)
    whole = torch.cat([tokens, targets[:, -1:]], 1)
    own = model.model(input_ids=whole, labels=labels).loss
    assert stated.loss(model(inputs), targets).mean().item() == pytest.approx(own.item(), rel=1e-4)
