"""Where perfect scaling ends and where a larger batch stops to pay, read off the measured points.

Shallue et al. (2019) name three regimes: perfect scaling, diminishing returns, maximal data
parallelism; they draw them and give no formula. The two rules here are ours [D].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.2
"""Default share by which S(B) may miss the ideal and still count as keeping to it."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The two limits of a measured curve.

    Attributes:
        perfect_scaling: The largest tested batch size up to which every tested one keeps to perfect scaling.
        perfect_scaling_is_largest_tested: Whether it never ended, so that it is only ">=".
        max_useful: The smallest tested batch size whose steps are as few as the fewest, within the tolerance.
        max_useful_is_largest_tested: Whether it is the largest tested, so that it is only ">=".
    """

    perfect_scaling: float
    perfect_scaling_is_largest_tested: bool
    max_useful: float
    max_useful_is_largest_tested: bool


def limits(batch_sizes: Sequence[float], steps: Sequence[float], *, tolerance: float = TOLERANCE) -> Limits:
    """The limits of one curve, from distinct batch sizes in any order.

    - perfect scaling up to max{B: S(b) <= (1+d) S(B0) B0/b for all tested b <= B}, B0 the smallest tested;
    - largest useful batch = min{B: S(B) <= (1+d) min S}.

    Args:
        batch_sizes: Examples per step, one entry a point, all different.
        steps: Steps to the goal at each, positive.
        tolerance: d above.
    """
    points = sorted(zip(batch_sizes, steps, strict=True))
    first_batch, first_steps = points[0]
    perfect = first_batch
    for batch, count in points:
        # Multiplied out, not divided: S(b) b is exact for integers, S(B0) B0 / b is not.
        if count * batch > (1 + tolerance) * first_steps * first_batch:
            break
        perfect = batch
    enough = (1 + tolerance) * min(steps)
    useful = next(batch for batch, count in points if count <= enough)
    largest = points[-1][0]
    return Limits(
        perfect_scaling=perfect,
        perfect_scaling_is_largest_tested=perfect == largest,
        max_useful=useful,
        max_useful_is_largest_tested=useful == largest,
    )
