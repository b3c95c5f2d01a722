"""Training, validation and test parts of a corpus: by document, or else one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from headrace import random
from headrace.errors import InputError
from headrace.workloads.language.corpus import Corpus


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a corpus; they share its tokens."""

    train: Corpus
    validation: Corpus
    test: Corpus | None = None


def split_corpus(corpus: Corpus, *, validation: float = 0.05, test: float = 0.05) -> Parts:
    """Split a corpus, in the same way whenever it is loaded.

    Documents are drawn on a stream of their own, and each is in one part. Without documents, the last tokens
    are the test part and those before them the validation part: neighbouring sentences are alike, so that
    blocks apart are a harder and an honester test than sentences drawn at random.

    Args:
        corpus: What to split.
        validation: The share of the documents (or of the tokens) for validation.
        test: The same for the test part; 0: there is none.

    Raises:
        InputError: The shares do not leave a training part, or there are too few documents.
    """
    if not (0 < validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            "shares must be above 0 and leave a training part",
            where="split",
            got={"validation": validation, "test": test},
        )
    if corpus.documents is None:
        return _blocks(corpus, validation, test)
    documents = corpus.documents
    held = [max(1, round(share * len(documents))) if share else 0 for share in (validation, test)]
    if sum(held) >= len(documents):
        raise InputError(
            f"{sum(held) + 1} documents are needed, one for each part",
            where=corpus.where,
            got=len(documents),
            fix="Give train=, validation= and test= yourself.",
        )
    order = random.generator(0, "language", "split").permutation(len(documents))
    cuts = np.split(order, [len(documents) - sum(held), len(documents) - held[1]])
    train, valid, tested = (documents[np.sort(cut)] for cut in cuts)
    return Parts(
        train=corpus.part(train),
        validation=corpus.part(valid),
        test=corpus.part(tested) if held[1] else None,
    )


def _blocks(corpus: Corpus, validation: float, test: float) -> Parts:
    tokens = len(corpus.tokens)
    tested = round(test * tokens)
    valid = round(validation * tokens)
    edges = [0, tokens - valid - tested, tokens - tested, tokens]
    parts = [corpus.part(np.array([[start, stop]])) for start, stop in pairwise(edges)]
    return Parts(train=parts[0], validation=parts[1], test=parts[2] if tested else None)
