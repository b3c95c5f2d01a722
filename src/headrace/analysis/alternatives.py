"""What an experiment says about alternatives to tuning and to its optimizer: rules, and ratios of optimizers.

Both are asked for by `[report] rules`; ratios of optimizers also come with tokens as the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.analysis.curves import CurveFit
from headrace.analysis.optimizers import Ratios, ratios_of, say_ratios
from headrace.analysis.regimes import TOLERANCE
from headrace.analysis.rule_words import say_rules
from headrace.analysis.rules import Carried, carry, to_dict

if TYPE_CHECKING:
    from headrace.store.experiments import StoredExperiment


@dataclass(frozen=True, kw_only=True)
class Alternatives:
    """What carrying settings by rules would have cost, and what optimizers cost against each other.

    Attributes:
        rules: Every rule that was asked for, on every curve.
        ratios: Every optimizer against the first.
        tokens: How many tokens an example has; None if they are not the unit.
    """

    rules: tuple[Carried, ...] = ()
    ratios: tuple[Ratios, ...] = ()
    tokens: float | None = None

    @property
    def unit(self) -> str:
        """What costs are counted in."""
        return "examples" if self.tokens is None else "tokens"

    def to_dict(self) -> dict[str, Any]:
        """The keys of results.json; none of what was not asked for."""
        found: dict[str, Any] = {}
        if self.rules:
            verdicts = [to_dict(rule, self.tokens) for rule in self.rules]
            found["rules"] = {"tolerance": TOLERANCE, "verdicts": verdicts}
        if self.ratios:
            found["optimizer_ratios"] = [one.to_dict() for one in self.ratios]
        return found

    def said(self) -> list[str]:
        """Their sentences."""
        return [*say_ratios(self.ratios, self.unit), *say_rules(self.rules, self.unit)]


def alternatives(stored: StoredExperiment, curves: Sequence[CurveFit]) -> Alternatives:
    """What the stored trials say.

    Args:
        stored: The experiment: what was asked for.
        curves: Those of its studies that were trained themselves.
    """
    asked, experiment = stored.experiment.report, stored.experiment
    tokens = stored.facts.tokens_per_example if stored.facts else None
    rules = [
        rule
        for curve in curves
        if asked.rules
        for rule in carry(curve, asked.rules, start=asked.rules_from, seed=experiment.seed)
    ]
    ratios = ratios_of(curves) if asked.rules or tokens is not None else []
    return Alternatives(rules=tuple(rules), ratios=tuple(ratios), tokens=tokens)
