"""MR: 10,662 sentences of film reviews, half of them positive (Pang and Lee, 2005).

Split 8,530 / 1,066 / 1,066.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from headrace.errors import InputError
from headrace.workloads import _settings
from headrace.workloads._base import Workload
from headrace.workloads.build import classification
from headrace.workloads.labelled import Labelled, Splits, stratified_split
from headrace.workloads.locations import MR_FILE, file_in, require
from headrace.workloads.models import SentenceCNN
from headrace.workloads.readers.idx import read_bytes
from headrace.workloads.tokens import Vocabulary, build_vocabulary, tokenize

CLASSES = ("negative", "positive")
_HELD_OUT = 0.1
"""Share of the sentences for validation, and again for test; drawn on a named stream, stratified."""
_WIDEST = 5
"""Tokens that the widest filter sees: the least length of an encoded sentence."""


def read_sentences(path: Path) -> tuple[list[str], list[int]]:
    """Read lines of `label text` as sentences and labels (0 negative, 1 positive).

    The published file is latin-1; a copy that was saved as UTF-8, with or without a byte order mark, is read
    as that.

    Raises:
        InputError: The file cannot be read, is UTF-16, or a line does not begin with a label; names the line.
    """
    sentences: list[str] = []
    labels: list[int] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", _text(path)), start=1):
        if not line.strip():
            continue
        label, _, text = line.partition(" ")
        if label not in {"0", "1"} or not text.strip():
            raise InputError(
                "a line must be '0 text' or '1 text'", where=f"{path}, line {number}", got=line[:60]
            )
        sentences.append(text)
        labels.append(int(label))
    if not sentences:
        raise InputError("the file holds no sentences", where=str(path))
    return sentences, labels


def _text(path: Path) -> str:
    raw = read_bytes(path)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("the file is UTF-16", where=str(path), fix="Save it as UTF-8 or latin-1.")
    try:
        # Letters beyond ASCII in latin-1 are hardly ever UTF-8.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def mr_splits(path: Path) -> tuple[Splits, Vocabulary]:
    """The fixed splits as token numbers [examples length], and the vocabulary of the training split.

    The length is that of the longest training sentence.

    Raises:
        InputError: The file cannot be read.
    """
    sentences, labels = read_sentences(path)
    targets = torch.tensor(labels)
    held = round(_HELD_OUT * len(labels))
    parts = stratified_split(targets.numpy(), (len(labels) - 2 * held, held, held), "mr")
    tokens = [tokenize(sentence) for sentence in sentences]
    training = [tokens[index] for index in parts[0]]
    vocabulary = build_vocabulary(training)
    length = max(_WIDEST, *map(len, training))

    def encoded(part: np.ndarray) -> Labelled:
        inputs = vocabulary.encode([tokens[index] for index in part], length)
        return Labelled(inputs=inputs, targets=targets[torch.from_numpy(part)], classes=CLASSES)

    train, validation, test = map(encoded, parts)
    return Splits(train=train, validation=validation, test=test), vocabulary


def mr_cnn(
    *, embedding: int = 64, filters: int = 64, dropout: float = 0.5, label_noise: float = 0.0
) -> Workload:
    """The convolutional sentence classifier of Kim (2014) on MR, embeddings learnt from scratch.

    Args:
        embedding: Width of a token's embedding. Kim has 300, and 100 filters: seven times the cost of a step.
        filters: Filters of each of the widths 3, 4 and 5.
        dropout: Share of the pooled features dropped in training.
        label_noise: Share of the training labels replaced by the other class.
    """
    folder = require("mr")
    splits, vocabulary = mr_splits(file_in(folder, MR_FILE) or folder / MR_FILE)
    build = partial(
        SentenceCNN,
        embedding=_settings.integer("embedding", embedding),
        filters=_settings.integer("filters", filters),
        dropout=_settings.share("dropout", dropout),
    )

    def model(_shape: tuple[int, ...], classes: int) -> nn.Module:
        return build(len(vocabulary), classes)

    def show(index: int) -> str:
        return " ".join(vocabulary.decode(splits.train.inputs[index]))

    return classification(
        "mr-cnn",
        splits,
        model=model,
        goal=0.28,
        label_noise=label_noise,
        description="A convolutional sentence classifier on MR: sentences of film reviews in two classes.",
        show=show,
    )
