"""Running counts, means and second moments of many examples at once: pure functions on rows.

A row holds the facts about one example; here rows stand upright, [columns, batch]. A batch is merged
into its rows by the formula of Chan, Golub and LeVeque (1979), written with deviations from the old
mean m, so that k occurrences of an example in one batch are right at once, and one occurrence is
Welford's formula:

    d_i = v_i - m;  n' = n + k;  m' = m + sum d_i / n';  M2' = M2 + sum d_i^2 - (sum d_i)^2 / n'

With a decay g < 1 (exponential weights) n and M2 are multiplied by g first: each batch that holds
an example fades that example's past once, then adds its occurrences with weight 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from headrace.histories.arrays import Array, namespace, positions
from headrace.histories.observations import Quantity


@dataclass(frozen=True)
class Layout:
    """Where a row keeps what.

    The columns in order: the sums (total weight, total squared weight, count, and for predictions
    the transitions from correct to wrong), the second moments M2 of the first `seconds` quantities,
    the means of all quantities, and the last values of loss and, for predictions, correct.

    Attributes:
        quantities: What is averaged.
    """

    quantities: tuple[Quantity, ...]

    @property
    def predictions(self) -> bool:
        """Whether predictions are kept, not only losses."""
        return "correct" in self.quantities

    @cached_property
    def sizes(self) -> tuple[int, int, int, int]:
        """The widths of the four blocks: sums, second moments, means, last values."""
        return (4, 2, len(self.quantities), 2) if self.predictions else (3, 1, 1, 1)

    @property
    def width(self) -> int:
        """How many float32 numbers a row holds."""
        return sum(self.sizes)

    @cached_property
    def last(self) -> slice:
        """Which quantities' last values are kept: loss and correct, or loss."""
        return slice(1, 3) if self.predictions else slice(0, 1)

    def fading(self, decay: float) -> Float[np.ndarray, "columns one"]:
        """What the sums and second moments are multiplied by before a batch is added."""
        sums, seconds, _, _ = self.sizes
        kept = [decay, decay * decay, 1.0, decay][:sums] + [decay] * seconds
        return np.array(kept, dtype=np.float32)[:, None]

    @cached_property
    def means(self) -> slice:
        """The columns of the means."""
        start = self.sizes[0] + self.sizes[1]
        return slice(start, start + self.sizes[2])


def increments(
    rows: Float[Array, "columns batch"], values: Float[Array, "quantities batch"], layout: Layout
) -> Float[Array, "terms batch"]:
    """What each occurrence adds: its ones, its transition, its squared deviations, its deviations.

    A transition is counted where the example was correct the last time before this batch and is
    wrong here; so several occurrences in one batch are each compared with the state before it.
    """
    deviations = values - rows[layout.means]
    varying = deviations[: layout.sizes[1]]
    ones = rows[:3] > -1.0
    lost = [rows[-1:] > values[2:3]] if layout.predictions else []
    return namespace(values).concatenate([ones, *lost, varying * varying, deviations])


def advanced(
    rows: Float[Array, "columns batch"],
    terms: Float[Array, "terms batch"],
    last: Float[Array, "lasts batch"],
    fading: Float[Array, "columns one"] | None,
    layout: Layout,
) -> Float[Array, "columns batch"]:
    """The rows after a batch; see the module's text for the formula.

    Args:
        rows: The rows before the batch, upright.
        terms: The increments, summed over the occurrences of each example.
        last: The last values that the rows shall keep.
        fading: `Layout.fading`, or None where nothing fades.
        layout: Where a row keeps what.
    """
    sums, seconds, _, _ = layout.sizes
    head = sums + seconds
    old, deviations = rows[:head], terms[head:]
    new = terms[:head] + (old if fading is None else old * fading)
    step = deviations / new[0]
    new[sums:] -= deviations[:seconds] * step[:seconds]
    return namespace(rows).concatenate([new, rows[layout.means] + step, last])


def merged(
    first: Float[Array, "columns examples"], second: Float[Array, "columns examples"], layout: Layout
) -> Float[Array, "columns examples"]:
    """Two records of the same examples as one (Chan, Golub and LeVeque 1979); exact except for rounding.

    Sums are added, so a transition between the end of one record and the start of the other is not
    counted. The last values are those of `second` where it has seen the example.
    """
    xp, (sums, seconds, _, lasts) = namespace(first), layout.sizes
    varying = slice(sums, sums + seconds)
    total = first[:sums] + second[:sums]
    share = second[0] / xp.where(total[0] > 0, total[0], 1.0)
    difference = second[layout.means] - first[layout.means]
    between = difference[:seconds] * difference[:seconds] * (first[0] * share)
    last = xp.where(second[2] > 0, second[-lasts:], first[-lasts:])
    spread = first[varying] + second[varying] + between
    return xp.concatenate([total, spread, first[layout.means] + difference * share, last])


def slots(
    scratch: Int[Array, " rows"], index: Int[Array, " batch"]
) -> tuple[Int[Array, " batch"], Int[Array, " batch"]]:
    """For each occurrence the position in the batch that represents its example: its last one.

    Args:
        scratch: One int32 per row, overwritten; what it held does not matter.
        index: The row of each occurrence.

    Returns:
        The slots, and the plain positions: they are equal where no example occurs twice.
    """
    position = positions(index, "int32")
    if isinstance(scratch, np.ndarray):
        scratch[index] = position
    else:
        # Which of several assignments stays is left open on a device; the largest position is the last.
        scratch.scatter_reduce_(0, index, position, "amax", include_self=False)
    return scratch[index], position
