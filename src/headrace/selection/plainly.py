"""k-center and score x distance where the features are: the plain greedy algorithm, for accelerators.

Nothing waits for the device before the last choice is made: a choice is the index of a maximum, and stays
there.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from headrace.arrays import beside, on_host
from headrace.selection._base import Indices

_BLOCK = 1 << 24
"""Numbers of the features that are subtracted at a time."""


def farthest(
    features: Float[Tensor, "examples features"],
    pool: Int[np.ndarray, " pool"],
    weights: Float[np.ndarray, " pool"] | None,
    initial: Int[np.ndarray, " centres"],
    count: int,
) -> Indices:
    """The best `count` of the pool one after the other: farthest from all centres, or of most weight x that.

    Args:
        features: On the device where the work is done.
        pool: What may be chosen, in rising order.
        weights: What distances are multiplied by; None for distances alone.
        initial: Centres there are already.
        count: How many.
    """
    rows = features.index_select(0, beside(pool, features))
    weigh = None if weights is None else beside(weights, features)
    near = rows.new_full((len(pool),), torch.inf, dtype=torch.float64)
    for centre in features.index_select(0, beside(initial, features)):
        _approach(near, rows, centre)
    taken = torch.zeros_like(near, dtype=torch.bool)
    chosen: list[Tensor] = []
    for number in range(count):
        if number == 0 and len(initial) == 0:
            values = torch.zeros_like(near) if weigh is None else weigh
        else:
            values = near if weigh is None else weigh * near.sqrt()
        # Of equal values the first, and so the smallest index, is the maximum.
        best = values.masked_fill(taken, -torch.inf).argmax().view(1)
        taken.index_fill_(0, best, value=True)
        _approach(near, rows, rows.index_select(0, best)[0])
        chosen.append(best)
    places = on_host(torch.cat(chosen)) if chosen else np.empty(0, dtype=np.int64)
    return pool[places].astype(np.int64)


def _approach(
    near: Float[Tensor, " pool"], rows: Float[Tensor, "pool features"], centre: Float[Tensor, " features"]
) -> None:
    """Take one more centre into the squared distances, in float64."""
    wide, step = centre.double(), max(1, _BLOCK // max(1, rows.shape[1]))
    for distances, block in zip(near.split(step), rows.split(step), strict=True):
        torch.minimum(distances, (block.double() - wide).square().sum(1), out=distances)
