"""Small models and data for the tests of trainers: made here, because nothing can be downloaded."""

from __future__ import annotations

import torch
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

from headrace.random import torch_generator, torch_stream

TOKENS, LENGTH = 30, 6


def classifier(dropout: float = 0.1) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=TOKENS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch_stream(0, "classifier"):
        return BertForSequenceClassification(config)


def language_model(dropout: float = 0.1) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=TOKENS,
        n_positions=LENGTH,
        n_embd=16,
        n_layer=1,
        n_head=2,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=1,
    )
    with torch_stream(0, "language model"):
        return GPT2LMHeadModel(config)


def documents(examples: int) -> list[dict]:
    """Token rows with a class, and a column that no model takes."""
    tokens = torch.randint(2, TOKENS, (examples, LENGTH), generator=torch_generator(0, "documents"))
    return [{"input_ids": row, "labels": int(row[0]) % 3, "note": "a column"} for row in tokens]


def texts(examples: int) -> list[dict]:
    """Token rows of several lengths, the rest of which counts for nothing."""
    rows = []
    for place, row in enumerate(documents(examples)):
        labels = row["input_ids"].clone()
        labels[2 + place % (LENGTH - 1) :] = -100
        # Nothing predicts the first token.
        labels[0] = -100
        rows.append({"input_ids": row["input_ids"], "labels": labels})
    return rows
