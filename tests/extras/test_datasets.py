"""Hugging Face's `datasets` as a source: indices through loaders, ids that stay, columns as arguments."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from itertools import chain
from pathlib import Path

import datasets
import pytest
import torch
from torch.utils.data import DataLoader

from headrace import ExampleSampler
from headrace.errors import InputError
from headrace.integrations.datasets import Columns
from headrace.sampling import Indexed


@pytest.fixture
def table() -> datasets.Dataset:
    rows = [{"text": f"t{i}", "input_ids": [i, i + 1], "mask": [1, i % 2], "label": i % 2} for i in range(20)]
    return datasets.Dataset.from_list(rows).map(lambda _, i: {"id": f"row-{i}"}, with_indices=True)


def test_indices_go_through_a_loader_with_text_and_dict_columns(table):
    sampler = ExampleSampler(len(table), batch_size=6, seed=1)
    seen = []
    for batch in DataLoader(Indexed(table, key="index"), batch_sampler=sampler, num_workers=2):
        index = batch.pop("index")
        sampler.weights_for(index)
        assert batch["text"] == [f"t{i}" for i in index.tolist()]
        seen.append(index.tolist())
    assert sorted(chain(*seen)) == list(range(20))


def test_ids_stay_when_a_data_set_is_shuffled_filtered_and_split(table):
    other = table.shuffle(seed=3).filter(lambda row: row["label"] == 1).train_test_split(0.3, seed=1)["train"]
    data = Columns(other, inputs=("input_ids", "mask"), target="label", ids="id")
    inputs, targets = data.fetch(torch.tensor([2, 0, 2]))
    assert inputs.shape == (3, 2, 2)
    for place, index in enumerate((2, 0, 2)):
        assert data.ids[index] == f"row-{int(inputs[place, 0, 0])}"
    assert targets.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"inputs": ("input_ids", "gone")}, "no column of this name; got 'gone'.*input_ids"),
        ({"ids": "label"}, "must not have the same id"),
        ({"inputs": ("text",)}, "column text.*Tokenize"),
        ({"inputs": ("input_ids", "label")}, "one shape"),
    ],
)
def test_columns_that_cannot_be_inputs_are_refused(table, wrong, message):
    with pytest.raises(InputError, match=message):
        Columns(table, **{"inputs": "input_ids", "target": "label", **wrong}).fetch(torch.arange(2))


FILE = """
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification
from headrace import Workload
from headrace.integrations.datasets import Columns
from headrace.random import generator

def split(name, size):
    tokens = generator(0, name).integers(0, 9, (size, 6))
    return Columns(
        Dataset.from_dict({
            "input_ids": tokens.tolist(), "attention_mask": (tokens >= 0).astype(int).tolist(),
            "label": (tokens[:, 0] > 4).astype(int).tolist(), "key": [f"{name}-{i}" for i in range(size)],
        }),
        inputs=("input_ids", "attention_mask"), target="label", ids="key",
    )

def small():
    return BertForSequenceClassification(BertConfig(
        vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16))

def workload():
    train = split("train", 120)
    return Workload(name="rows", train=train, validation=split("validation", 60), build_model=small,
                    call=train.call, goal=0.4)
"""
EXPERIMENT = """
[workload]
name = "rows:workload"
[grid]
batch_size = [8, 32]
policy = ["shuffle", "selective-backprop"]
[search]
trials = 1
[search.space]
learning_rate = { low = 0.05, high = 0.2, scale = "log" }
[training]
budget = { steps = 20 }
evaluation = { every = 10 }
"""


def test_an_experiment_on_a_model_that_takes_keywords_and_returns_an_object(tmp_path: Path):
    (tmp_path / "rows.py").write_text(FILE)
    (tmp_path / "e.toml").write_text(textwrap.dedent(EXPERIMENT))
    command = [
        sys.executable,
        "-m",
        "headrace",
        "run",
        "e.toml",
        "--out",
        "out",
        "--processes",
        "1",
        "--json",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert len(json.loads(ended.stdout)["studies"]) == 4
