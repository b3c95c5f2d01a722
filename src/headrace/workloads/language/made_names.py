"""Made names, for models that train in seconds: syllables by a fixed grammar, on a named stream."""

from __future__ import annotations

import numpy as np

from headrace import random

FIRST = ("b", "br", "d", "dr", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea")
LAST = ("", "", "", "l", "n", "r", "s", "th")
ENDS = ("a", "o", "is", "en", "ella", "ard", "")


def made_names(count: int, seed: int = 0) -> list[str]:
    """Names such as `bralen` and `teathis`: one to three syllables and an end; some occur more than once.

    The parts are drawn in proportion to 1, 1/2, 1/3, ..., so that letters are as uneven as in real names.

    Args:
        count: How many.
        seed: Of the stream.
    """
    rng = random.generator(seed, "language", "names")

    def some(parts: tuple[str, ...]) -> np.ndarray:
        weights = 1 / np.arange(1, len(parts) + 1)
        return np.array(parts)[rng.choice(len(parts), size=(count, 3), p=weights / weights.sum())]

    parts = np.stack([some(FIRST), some(VOWELS), some(LAST)], axis=2)  # names, syllables, parts
    ends = some(ENDS)[:, 0]
    syllables = 1 + rng.choice(3, size=count, p=(0.3, 0.5, 0.2))
    return [
        "".join(row[:long].ravel().tolist()) + end
        for row, end, long in zip(parts, ends.tolist(), syllables.tolist(), strict=True)
    ]
