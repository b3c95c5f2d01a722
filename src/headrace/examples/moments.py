"""Running counts, means and second moments of many examples at once: pure functions on rows.

A row holds what is known of one example. A batch is merged into its rows by the formula of
Chan, Golub and LeVeque (1979) written with deviations from the old mean m, so that k occurrences
of an example in one batch are right at once, and one occurrence is Welford's formula:

    d_i = v_i - m;  n' = n + k;  m' = m + sum d_i / n';  M2' = M2 + sum d_i^2 - (sum d_i)^2 / n'

With a decay g < 1 (exponential weights) n and M2 are multiplied by g first: each batch that holds
an example fades that example's past once, then adds its occurrences with weight 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headrace.examples.observations import Quantity


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

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """The widths of the four blocks: sums, second moments, means, last values."""
        return (4, 2, len(self.quantities), 2) if self.predictions else (3, 1, 1, 1)

    @property
    def width(self) -> int:
        """How many float32 numbers a row holds."""
        return sum(self.sizes)

    @property
    def last(self) -> slice:
        """Which quantities' last values are kept: loss and correct, or loss."""
        return slice(1, 3) if self.predictions else slice(0, 1)

    def fading(self, decay: float, device: torch.device) -> Float[Tensor, " columns"]:
        """What the sums and second moments are multiplied by before a batch is added."""
        sums, seconds, _, _ = self.sizes
        kept = [decay, decay * decay, 1.0, decay][:sums] + [decay] * seconds
        return torch.tensor(kept, device=device)


def increments(
    rows: Float[Tensor, "batch columns"], values: Float[Tensor, "batch quantities"], layout: Layout
) -> Float[Tensor, "batch terms"]:
    """What each occurrence adds: its ones, its transition, its squared deviations, its deviations.

    A transition is counted where the example was correct the last time before this batch and is
    wrong here; so several occurrences in one batch are each compared with the state before it.
    """
    _, seconds, _, _ = layout.sizes
    _, _, means, last = rows.split_with_sizes(layout.sizes, 1)
    deviations = values - means
    parts = [values.new_ones((values.shape[0], 3))]
    if layout.predictions:
        parts.append(last[:, 1:] * (1.0 - values[:, 2:3]))
    parts += [deviations[:, :seconds].square(), deviations]
    return torch.cat(parts, 1)


def advanced(
    rows: Float[Tensor, "batch columns"],
    terms: Float[Tensor, "batch terms"],
    last: Float[Tensor, "batch lasts"],
    fading: Float[Tensor, " sums"] | None,
    layout: Layout,
) -> Float[Tensor, "batch columns"]:
    """The rows after a batch; see the module's text for the formula.

    Args:
        rows: The rows before the batch.
        terms: The increments, summed over the occurrences of each example.
        last: The last values that the rows shall keep.
        fading: `Layout.fading`, or None where nothing fades.
        layout: Where a row keeps what.
    """
    sums, seconds, width, _ = layout.sizes
    head, deviations = terms.split_with_sizes((sums + seconds, width), 1)
    old = rows[:, : sums + seconds]
    new = old + head if fading is None else torch.addcmul(head, old, fading)
    step = deviations / new[:, :1]
    new[:, sums:].addcmul_(deviations[:, :seconds], step[:, :seconds], value=-1)
    means = rows[:, sums + seconds : sums + seconds + width] + step
    return torch.cat((new, means, last), 1)


def merged(
    first: Float[Tensor, "examples columns"], second: Float[Tensor, "examples columns"], layout: Layout
) -> Float[Tensor, "examples columns"]:
    """Two records of the same examples as one (Chan, Golub and LeVeque 1979); exact but for rounding.

    Sums are added, so a transition between the end of one record and the start of the other is not
    counted. The last values are those of `second` where it has seen the example.
    """
    count = 2
    sums_a, seconds_a, means_a, last_a = first.split_with_sizes(layout.sizes, 1)
    sums_b, seconds_b, means_b, last_b = second.split_with_sizes(layout.sizes, 1)
    sums = sums_a + sums_b
    share = sums_b[:, :1] / sums[:, :1].clamp_min(torch.finfo(torch.float32).tiny)
    difference = means_b - means_a
    between = difference[:, : layout.sizes[1]].square() * (sums_a[:, :1] * share)
    last = torch.where(sums_b[:, count : count + 1] > 0, last_b, last_a)
    return torch.cat((sums, seconds_a + seconds_b + between, means_a + difference * share, last), 1)


def slots(
    scratch: Int[Tensor, " rows"], index: Int[Tensor, " batch"]
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """For each occurrence the position in the batch that stands for its example: its last one.

    Args:
        scratch: One int32 per row, overwritten; what it held does not matter.
        index: The row of each occurrence.

    Returns:
        The slots, and the plain positions: they are equal where no example occurs twice.
    """
    positions = torch.arange(index.shape[0], dtype=torch.int32, device=index.device)
    if index.device.type == "cpu":
        scratch.index_copy_(0, index, positions)
    else:
        scratch.scatter_reduce_(0, index, positions, "amax", include_self=False)
    return scratch.index_select(0, index), positions
