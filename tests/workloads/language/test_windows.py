"""Windows of tokens, held against plain slices of lists."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InputError
from headrace.training.losses import IGNORED
from headrace.workloads import Corpus, TokenWindows, split_corpus
from headrace.workloads.language import windows as module

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=6)


def corpus_of(lengths: list[int], *, gaps: bool = False) -> Corpus:
    """Documents of these lengths; with gaps, tokens that belong to none lie between them."""
    between = 2 if gaps else 0
    starts = np.cumsum([0, *(length + between for length in lengths)])[:-1]
    tokens = np.arange(1, int(starts[-1]) + lengths[-1] + between + 2).astype(np.uint16)
    return Corpus(tokens=tokens, documents=np.stack([starts, starts + lengths], axis=1))


def texts(corpus: Corpus) -> list[list[int]]:
    assert corpus.documents is not None
    return [corpus.tokens[start:stop].tolist() for start, stop in corpus.documents.tolist()]


@given(LENGTHS, st.integers(1, 4), st.booleans())
def test_windows_across_documents_are_slices_of_them_joined(
    lengths: list[int], window: int, gaps: bool
) -> None:
    corpus = corpus_of(lengths, gaps=gaps)
    joined = [token for text in texts(corpus) for token in text]
    expected = [joined[at : at + window + 1] for at in range(0, len(joined) - window, window)]
    if not expected:
        with pytest.raises(InputError, match="tokens"):
            TokenWindows(corpus, window)
        return
    data = TokenWindows(corpus, window)
    inputs, targets = data.fetch(torch.arange(len(data)))
    assert inputs.tolist() == [row[:-1] for row in expected]
    assert targets.tolist() == [row[1:] for row in expected]
    assert data.targets_per_example == window


@given(LENGTHS, st.integers(1, 4), st.booleans(), st.data())
def test_windows_within_documents_predict_each_token_but_the_first_once(
    lengths: list[int], window: int, gaps: bool, draw: st.DataObject
) -> None:
    corpus = corpus_of(lengths, gaps=gaps)
    pairs = [(a, b) for text in texts(corpus) for a, b in pairwise(text)]
    if not pairs:
        with pytest.raises(InputError, match="two tokens"):
            TokenWindows(corpus, window, "within")
        return
    data = TokenWindows(corpus, window, "within")
    inputs, targets = data.fetch(torch.arange(len(data)))
    counted = targets != IGNORED
    assert sorted(zip(inputs[counted].tolist(), targets[counted].tolist(), strict=True)) == sorted(pairs)
    assert (counted.long().diff(dim=1) <= 0).all(), "padding is at the end"
    assert data.targets_per_example == pytest.approx(len(pairs) / len(data))
    one = draw.draw(st.integers(0, len(data) - 1))
    alone = data.fetch(torch.tensor([one]))  # a batch of one is a view of what was read
    assert alone[0].tolist() == [inputs[one].tolist()]
    assert alone[1].tolist() == [targets[one].tolist()]


def test_a_token_outside_the_vocabulary_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = np.array([1, 2, 3, 9, 1, 2], dtype=np.uint16)
    with pytest.raises(InputError, match=r"token 3: .*outside the vocabulary of 5.*got 9"):
        Corpus(tokens=tokens, vocabulary=5)
    with pytest.raises(InputError, match=r"token 1: .*outside the vocabulary of 5.*-7"):
        Corpus(tokens=np.array([1, -7, 2], dtype=np.int32), vocabulary=5)
    monkeypatch.setattr("headrace.workloads.language.corpus.MAPPED_BYTES", 4)
    large = TokenWindows(Corpus(tokens=tokens, vocabulary=5), 2)  # looked at as it is read
    large.fetch(torch.tensor([0]))
    with pytest.raises(InputError, match=r"token 3"):
        large.fetch(torch.tensor([1]))
    with pytest.raises(InputError, match="vocabulary's size must be given"):
        Corpus(tokens=tokens)


def test_a_window_longer_than_a_split_is_refused_with_the_split() -> None:
    with pytest.raises(InputError, match=r"validation: a window of 8 needs 9 tokens.*8 tokens"):
        TokenWindows(Corpus(tokens=np.arange(8, dtype=np.uint8)), 8, split="validation")


@given(st.integers(3, 40), st.floats(0.05, 0.4), st.floats(0, 0.4))
def test_every_document_is_in_one_part_and_whole(documents: int, validation: float, test: float) -> None:
    corpus = corpus_of([2] * documents)
    parts = split_corpus(corpus, validation=validation, test=test)
    listed = [parts.train, parts.validation, *([parts.test] if parts.test else [])]
    rows = [row for part in listed if part.documents is not None for row in part.documents.tolist()]
    assert corpus.documents is not None
    assert sorted(rows) == corpus.documents.tolist()
    again = split_corpus(corpus, validation=validation, test=test)
    assert again.train.documents is not None
    assert parts.train.documents is not None
    assert (again.train.documents == parts.train.documents).all()


def test_a_text_without_documents_is_split_in_order() -> None:
    parts = split_corpus(Corpus(tokens=np.arange(100, dtype=np.uint8)), validation=0.1, test=0.05)
    assert parts.test is not None
    ends = [
        part.documents.tolist()
        for part in (parts.train, parts.validation, parts.test)
        if part.documents is not None
    ]
    assert ends == [[[0, 85]], [[85, 95]], [[95, 100]]]


def test_memory_of_a_mapped_file_is_given_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESIDENT", 200_000)
    given_back: list[int] = []
    corpus = Corpus(tokens=np.arange(200, dtype=np.uint8), release=lambda: given_back.append(1))
    data = TokenWindows(corpus, 4)
    for _ in range(3):
        data.fetch(torch.tensor([1, 2, 3, 0]))
    assert len(given_back) == 3
