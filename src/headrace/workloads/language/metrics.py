"""What a language model is judged by: nats per token, perplexity, or bits per byte of text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from headrace.errors import InputError
from headrace.training.evaluation import OfMean
from headrace.workloads.language.windows import TokenWindows

Metric = Literal["nats", "perplexity", "bits_per_byte"]

_LARGEST = 700.0
"""Nats whose exponential is still a number of 64 bits."""


def of_mean(
    metric: Metric, splits: Mapping[str, TokenWindows], bytes_per_token: float | None
) -> OfMean | None:
    """From the mean of nats per counted token of a split to its metric; None: it is that mean.

    - perplexity: exp(nats);
    - bits per byte: nats / (ln 2 x bytes per token), with the bytes of the split's own targets.

    Args:
        metric: Which.
        splits: The evaluated splits.
        bytes_per_token: In place of what the tokens' bytes say, if these are not known.

    Raises:
        InputError: An unknown metric, or bits per byte without a token's bytes.
    """
    if metric == "nats":
        return None
    if metric == "perplexity":
        return lambda _split, mean: math.exp(min(mean, _LARGEST))
    if metric != "bits_per_byte":
        fix = "Give 'nats', 'perplexity' or 'bits_per_byte'."
        raise InputError("unknown metric", where="metric", got=metric, fix=fix)
    sizes = {name: _bytes_per_token(windows, bytes_per_token) for name, windows in splits.items()}
    return lambda split, mean: mean / (math.log(2) * sizes[split])


def _bytes_per_token(windows: TokenWindows, given: float | None) -> float:
    known = windows.bytes_per_target if given is None else given
    if not known or not math.isfinite(known) or known < 0:
        raise InputError(
            "bits per byte needs the bytes that a token stands for",
            where=windows.corpus.where,
            got=known,
            fix="Give bytes_per_token=: the validation text's bytes over its tokens.",
        )
    return known
