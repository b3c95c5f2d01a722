"""Does it hold what it says? Intervals and verdicts against simulated truth, in worlds of many kinds.

Each claim is a function of a random generator and a number of repetitions that gives `Row`s: what was
claimed, in which world, what is asked, and what came out with its Monte Carlo error. It joins by a line in
`CLAIMS`.

    python -m benchmarks calibration             every claim
    python -m benchmarks calibration compare     one
    python -m benchmarks calibration repeats=200 quicker, with larger Monte Carlo errors
"""

from __future__ import annotations

from typing import Any

from benchmarks.calibration import (
    carried_rules,
    comparisons,
    critical,
    fresh_seeds,
    grids,
    recommending,
    replicated,
    scaling_fits,
    searched_hints,
    surfaces,
    with_momentum,
)
from benchmarks.calibration._claims import Claim, Row, table
from headrace import random
from headrace.errors import InputError

DESCRIPTION = "coverage and error rates of what Headrace claims, in simulated worlds"

CLAIMS: dict[str, Claim] = {
    "compare": comparisons.error_rates,
    "compare-power": comparisons.power,
    "compare-counts": comparisons.counts,
    "compare-detectable": comparisons.detectable,
    "fit": scaling_fits.law,
    "fit-law-free": scaling_fits.law_free,
    "fit-limits": scaling_fits.fit_limits,
    "fit-lack-of-fit": scaling_fits.lack_of_fit,
    "critical": critical.critical,
    "critical-ratio": critical.ratio,
    "surface": surfaces.tuned,
    "surface-critical": surfaces.critical,
    "surface-widths": surfaces.widths,
    "surface-momentum": with_momentum.tuned,
    "rules": carried_rules.carried,
    "rules-momentum": carried_rules.with_momentum_too,
    "recommend": recommending.recommended,
    "fresh": fresh_seeds.means,
    "subsets": fresh_seeds.two_baselines,
    "replicates": replicated.error_rates,
    "replicates-power": replicated.power,
    "hint": searched_hints.hinted,
    "hint-ratio": searched_hints.ratios,
    "grid": grids.error_rates,
    "grid-power": grids.power,
    "grid-picks": grids.picks,
}
"""What is held against simulated truth, by name; a name before a hyphen stands for all that begin with it."""


def run(only: str | None = None, repeats: int = 1000) -> dict[str, Any]:
    """Simulate.

    Args:
        only: The name of a claim, or of a family of claims; None for all.
        repeats: Simulated experiments per world.

    Returns:
        `ours` of `peer` rows hold; `rows` are all of them, `table` the same in Markdown.
    """
    chosen = [name for name in CLAIMS if only is None or name == only or name.startswith(f"{only}-")]
    if not chosen:
        raise InputError(
            "unknown claim", where="calibration", got=only, fix=f"There are {', '.join(CLAIMS)}."
        )
    rows: list[Row] = []
    for name in chosen:
        rows += CLAIMS[name](random.generator(0, "calibration", name), repeats)
    held = sum(row.holds for row in rows)
    return {
        "measured": f"{len(rows)} simulated claims, {repeats} experiments each, that keep to what is asked",
        "ours": held,
        "peer": len(rows),
        "ratio": held / len(rows),
        "rows": [row.to_dict() for row in rows],
        "table": table(rows),
    }
