"""Which metrics are better when they are higher, by their names. Imports nothing but the standard library."""

from __future__ import annotations

import re
from typing import Literal

HIGHER_IS_BETTER = frozenset(
    {
        "acc", "accuracy", "ap", "auc", "auroc", "average_precision", "balanced_accuracy", "bleu", "dice",
        "f1", "f1_score", "iou", "jaccard", "kappa", "map", "mcc", "miou", "ndcg", "precision", "psnr", "r2",
        "recall", "rouge", "ssim", "top1", "top5", "top_1", "top_5",
    }
)  # fmt: skip
"""Names of metrics of which more is better."""
LOWER_IS_BETTER = frozenset(
    {
        "bpb", "bpc", "brier", "cer", "cross_entropy", "ece", "err", "error", "errors", "fid", "log_loss",
        "loss", "mae", "mape", "mse", "nll", "perplexity", "ppl", "rmse", "seconds", "steps", "wer",
    }
)  # fmt: skip
"""Names of metrics of which less is better."""


def better_by_name(metric: str) -> Literal["higher", "lower"] | None:
    """Whether a metric is better when it is higher or lower, if its name says so.

    The name may have the prefixes of trackers and splits: `metrics.val/accuracy`, `test_f1`.

    Args:
        metric: The name of a metric or of its column.
    """
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric).lower())
    ends = {"_".join(words[-count:]) for count in (1, 2)}
    if {"neg", "negative", "minus"} & set(words):
        return None
    if ends & LOWER_IS_BETTER:
        return "lower"
    return "higher" if ends & HIGHER_IS_BETTER else None
