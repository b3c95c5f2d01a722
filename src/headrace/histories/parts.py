"""Putting together what several recorders added to the same past: pure functions on rows.

Every recorder (a rank of a data-parallel run) continues from one base B with observations of its own. From
its rows R and the base, what it added can be recovered: with k observations more, weight W and mean m, and
decay g (1: nothing fades), the sums over its own observations v of weight w are

    sum w = W - g^k W_B;  sum w (v - m_B) = W (m - m_B);  sum w (v - m_B)^2 = M2 + W (m - m_B)^2 - g^k M2_B

All are deviations from the base's mean, so nothing cancels, and they add up over recorders to Chan, Golub and
LeVeque's formula (see `headrace.histories.moments`) [D]. The base itself enters once.

The result is that of the recorders' observations one recorder after the other, in their order. A row that one
recorder alone has added to is that recorder's, to the bit.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headrace.histories.moments import Layout

COUNT = 2
"""The column of a growing row that counts observations."""

CHUNK = 1 << 14
"""Rows that are joined at a time: they stay in the processor's cache."""

Rows = Float[Tensor, "rows columns"]
Parts = Float[Tensor, "recorders rows columns"]


def newest(base: Rows, parts: Parts, seen: Bool[Tensor, "recorders rows"]) -> Rows:
    """Each row as the last recorder left it that has seen its example; the base's where none has."""
    rows = base.clone()
    for part, saw in zip(parts, seen, strict=True):
        rows = torch.where(saw.unsqueeze(1), part, rows)
    return rows


def united(base: Rows, parts: Parts, layout: Layout, decay: float) -> Rows:
    """The rows of one growing or fading table in place of several that continued from the same base.

    Args:
        base: What all recorders began with.
        parts: What each holds by now.
        layout: Where a row keeps what.
        decay: g; the base has faded by g for every observation, as if no two of an example were of one batch.

    Returns:
        The rows; last values are those of the last recorder that has seen the example, and a transition
        between two recorders' observations is not counted.
    """
    added = parts[..., COUNT] - base[:, COUNT]
    seen = added > 0
    rows = newest(base, parts, seen)
    lasts = layout.sizes[3]
    for several in (seen.sum(0) > 1).nonzero()[:, 0].split(CHUNK):
        wide = base[several].double(), parts[:, several].double(), added[:, several].double()
        rows[several, :-lasts] = _joined(*wide, layout, decay).to(rows.dtype)
    return rows


def _joined(
    base: Rows, parts: Parts, added: Float[Tensor, "recorders rows"], layout: Layout, decay: float
) -> Rows:
    """Sums, second moments and means of rows that several recorders have added to; see the module's text."""
    sums, seconds, _, _ = layout.sizes
    head, means = slice(0, sums + seconds), layout.means
    later = added.flip(0).cumsum(0).flip(0) - added
    shift = parts[..., means] - base[:, means]
    weighted = parts[..., :1] * shift
    own = parts[..., head] - _faded(base[:, head], added, layout, decay)
    own[..., sums:] += (weighted * shift)[..., :seconds]
    total = _faded(base[:, head], added.sum(0), layout, decay) + _faded(own, later, layout, decay).sum(0)
    deviations = (decay ** later.unsqueeze(-1) * weighted).sum(0)
    step = deviations / total[:, :1]
    total[:, sums:] -= deviations[:, :seconds] * step[:, :seconds]
    return torch.cat((total, base[:, means] + step), 1)


def _faded(
    head: Float[Tensor, "... rows heads"], times: Float[Tensor, "... rows"], layout: Layout, decay: float
) -> Float[Tensor, "... rows heads"]:
    """Sums and second moments after this many more batches that hold the example."""
    if decay == 1.0:
        return head
    once = torch.as_tensor(layout.fading(decay)[:, 0], dtype=head.dtype, device=head.device)
    return once ** times.unsqueeze(-1) * head
