"""When a trial has diverged: one pure rule. Imports no torch."""

from __future__ import annotations

import math

EXPLOSION = 1000.0
"""A loss this many times the first one has exploded."""


def diverged(first_loss: float, train_loss: float | None, validation_loss: float | None) -> bool:
    """Whether a loss is not finite, or has exploded.

    Exploded means more than `EXPLOSION * max(|first_loss|, 1)`. The multiple is large on purpose: a loss may
    jump a hundredfold in the first steps of a high learning rate and still come down, while one that truly
    diverges grows exponentially and soon overflows; the rule saves the steps until then.

    Args:
        first_loss: The validation loss before the first step.
        train_loss: The mean training loss since the last evaluation; a single step that is not finite makes
            this mean not finite. None if no step was made.
        validation_loss: The validation loss, or None if it was not measured.
    """
    limit = EXPLOSION * max(abs(first_loss), 1.0)
    losses = [loss for loss in (first_loss, train_loss, validation_loss) if loss is not None]
    return any(not math.isfinite(loss) or loss > limit for loss in losses)
