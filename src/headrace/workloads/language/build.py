"""From a corpus and a model to a workload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from torch import Tensor, nn

from headrace.errors import InputError
from headrace.training.losses import token_cross_entropy
from headrace.workloads._base import MeanOver, Workload
from headrace.workloads.called import Call
from headrace.workloads.language.corpus import Corpus
from headrace.workloads.language.metrics import Metric, of_mean
from headrace.workloads.language.splits import Parts, split_corpus
from headrace.workloads.language.windows import Packing, TokenWindows

Model = Callable[[int, int], nn.Module]
"""`(tokens in the vocabulary, window) -> a freshly initialised model`."""


def language_model(
    corpus: Corpus | np.ndarray,
    *,
    model: Model,
    window: int,
    goal: float,
    metric: Metric = "nats",
    validation: Corpus | np.ndarray | None = None,
    test: Corpus | np.ndarray | None = None,
    call: Call | None = None,
    packing: Packing = "across",
    mean_over: MeanOver = "targets",
    bytes_per_token: float | None = None,
    name: str = "language-model",
    description: str = "",
) -> Workload:
    """A workload that predicts each next token; an example is a window of tokens.

    Args:
        corpus: The training tokens; without `validation`, all of them, split by `split_corpus`.
        model: `(vocabulary, window) -> module`, on the trial's own random stream.
        window: Tokens that a model sees at once.
        goal: In the unit of `metric`, on the validation split.
        metric: "nats" per token, "perplexity", or "bits_per_byte".
        validation: The validation tokens, if they are apart.
        test: The test tokens, if there are some.
        call: How a model is called: `(model, tokens [batch window]) -> logits [batch window vocabulary]`, or
            a tuple or a dict that begins with them, or an object that has them as `.logits`. None:
            `model(tokens)`.
        packing: "across": windows reach from document to document; "within": they do not.
        mean_over: "targets": each token counts alike; "examples": each window. The two differ with "within"
            alone.
        bytes_per_token: For bits per byte of tokens whose bytes are not known.
        name: What it is called in results.
        description: For the report.

    Raises:
        InputError: A split is shorter than a window, or a setting is not one of those named here.
    """
    if packing not in get_args(Packing):
        raise InputError("must be 'across' or 'within'", where="packing", got=packing)
    parts = _parts(corpus, validation, test)
    size = max(part.size for part in (parts.train, parts.validation, parts.test) if part is not None)
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    splits = {
        split: TokenWindows(part, window, packing, split=split)
        for split, part in named.items()
        if part is not None
    }
    evaluated = {split: data for split, data in splits.items() if split != "train"}
    return Workload(
        name=name,
        train=splits["train"],
        validation=splits["validation"],
        test=splits.get("test"),
        build_model=lambda: model(size, window),
        call=Logits(call),
        loss=token_cross_entropy,
        metric=token_cross_entropy,
        metric_name=metric,
        of_mean=of_mean(metric, evaluated, bytes_per_token),
        goal=goal,
        targets="tokens",
        outputs=size,
        mean_over=mean_over,
        show=splits["train"].text,
        description=description,
    )


class Logits:
    """A call that returns the logits as losses take them, `[batch vocabulary window]`.

    Args:
        call: How a model is called; None: `model(tokens)`.
    """

    def __init__(self, call: Call | None) -> None:
        if call is not None and not callable(call):
            raise InputError(
                "must be a function of a model and tokens", where="call", got=type(call).__name__
            )
        self.call = call

    def __call__(self, model: nn.Module, tokens: Tensor) -> Tensor:
        """The logits of the tokens that follow each of these [batch window].

        Raises:
            InputError: The model returns no logits for each token.
        """
        found: Any = model(tokens) if self.call is None else self.call(model, tokens)
        logits = _logits(found)
        if isinstance(logits, Tensor) and logits.dim() == 3 and logits.shape[:2] == tokens.shape:
            return logits.transpose(1, 2)
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        last = isinstance(logits, Tensor) and logits.dim() == 3 and logits.shape[1] == 1 < tokens.shape[1]
        raise InputError(
            f"the model must return logits [batch, tokens, vocabulary] for tokens {tuple(tokens.shape)}",
            where="call",
            got=got,
            fix="It predicts the last token alone. nanoGPT's predicts all if it is given targets: "
            "call=lambda model, tokens: model(tokens, tokens)[0]."
            if last
            else "Give call=: a function of the model and the tokens that returns them.",
        )


def _logits(outputs: Any) -> Any:
    """The logits in what a model returned."""
    if hasattr(outputs, "logits"):
        return outputs.logits
    if isinstance(outputs, dict):
        return outputs.get("logits", next(iter(outputs.values()), None))
    return outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs


def _parts(corpus: Any, validation: Any, test: Any) -> Parts:
    if validation is None and test is None:
        return split_corpus(_corpus(corpus, "corpus"))
    if validation is None:
        raise InputError("is missing", where="validation", fix="Give it as well, or leave test out.")
    return Parts(
        train=_corpus(corpus, "corpus"),
        validation=_corpus(validation, "validation"),
        test=None if test is None else _corpus(test, "test"),
    )


def _corpus(tokens: Any, name: str) -> Corpus:
    if isinstance(tokens, Corpus):
        return tokens
    return Corpus(tokens=np.asarray(tokens), where=name)
