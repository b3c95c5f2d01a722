"""How wide the interval of a tuned optimum is, by the number of trials: what a larger search buys.

From simulated searches of one learning rate on which a seed scatters by 19%, as on the digits
(docs/statistics.md, "The tuned optimum"; `python -m benchmarks calibration surface-widths`). Half of the log
width is sqrt(c^2 / trials + d^2): what the trials of a curve do not show, and what no number of them does.
"""

from __future__ import annotations

import math

TRIALS_PART, REST = 1.52, 0.135
"""c, where the trials of all batch sizes of a curve count together, and d [D]."""


def interval_width(trials: int, batch_sizes: int) -> float:
    """High over low of the 95% interval of the steps at the best learning rate, about.

    Args:
        trials: Of each study.
        batch_sizes: Of a curve.
    """
    return math.exp(2 * math.hypot(TRIALS_PART / math.sqrt(trials * batch_sizes), REST))


def widths(trials: int, batch_sizes: int) -> dict[int, float]:
    """Trials of each study -> that width: as many as are asked for, twice and four times as many."""
    return {factor * trials: interval_width(factor * trials, batch_sizes) for factor in (1, 2, 4)}
